#include "coordinator/cli/picture_series.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error/error.h"
#include "common/log/log.h"
#include "coordinator/cli/command.h"

namespace diptych {

using nlohmann::ordered_json;

PictureSeries::PictureSeries(const PicturePlan& plan, const RenderClient& client, PrivateRun* run,
                             CancelOnInterrupt& jobs, Environment& environment)
    : plan_(plan),
      client_(client),
      run_(run),
      jobs_(jobs),
      environment_(environment),
      room_(environment),
      pictures_(plan.pictures.size()) {}

void PictureSeries::Make(const Finish& finish) {
  for (size_t i = 0; i < pictures_.size(); ++i) {
    if (gone_.empty()) SubmitWhatThereIsRoomFor(i);
    Picture& picture = pictures_[i];
    if (!picture.error.empty()) continue;
    if (!gone_.empty()) {
      picture.error = picture.id.empty() ? NotSubmitted(gone_) : gone_;
      picture.goes_on = lost_ && !picture.id.empty();
      continue;
    }
    try {
      picture.report = finish(i, picture.id);
    } catch (const ConnectionLost& error) {
      lost_ = picture.goes_on = run_ == nullptr;
      Fail(i, error.what());
      GiveUp(error.what());
    } catch (const std::exception& error) {
      if (environment_.interrupt.requested()) throw;
      jobs_.Remove(picture.id);
      Fail(i, error.what());
      if (run_ != nullptr && run_->OneEnded()) GiveUp(error.what());
    }
  }
}

void PictureSeries::SubmitWhatThereIsRoomFor(size_t current) {
  while (next_ < pictures_.size()) {
    environment_.interrupt.ThrowIfRequested();
    const absl::StatusOr<Submission> answer = client_.Submit(plan_.Request(next_));
    if (answer.ok()) {
      pictures_[next_++].id = answer->id;
      jobs_.Add(answer->id);
      continue;
    }
    const absl::Status& refusal = answer.status();
    const std::optional<std::chrono::milliseconds> delay = RetryDelay(refusal);
    if (!delay && !IsOutOfReach(refusal)) {
      Fail(next_++, NotSubmitted(std::string(refusal.message())));
    } else if (next_ > current) {
      return;  // the end of one under way makes room, or shows whether the renderer is still there
    } else if (delay) {
      room_.Wait(refusal, *delay);  // others have filled the queue
    } else if (next_ == 0) {
      return ThrowUnlessOk(refusal);
    } else {
      return GiveUp(std::string(refusal.message()));
    }
  }
}

void PictureSeries::Fail(size_t index, const std::string& error) {
  pictures_[index].error = error;
  if (pictures_.size() > 1) Warn(absl::StrCat(plan_.Label(index), ": ", error));
}

void PictureSeries::GiveUp(const std::string& reason) {
  gone_ = reason;
  if (next_ < pictures_.size()) Warn(absl::StrCat(plan_.Label(next_), " and what follows: ", NotSubmitted(reason)));
}

std::string PictureSeries::NotSubmitted(const std::string& reason) const {
  return pictures_.size() > 1 ? absl::StrCat("not submitted: ", reason) : reason;
}

void PictureSeries::Warn(const std::string& text) const {
  environment_.err << "diptych: warning: " << EscapeForLog(text) << std::endl;
}

ordered_json PictureSeries::Reports() const {
  ordered_json all = ordered_json::array();
  for (size_t i = 0; i < pictures_.size(); ++i) {
    const Picture& picture = pictures_[i];
    all.push_back(picture.error.empty() ? picture.report
                                        : ordered_json{{"id", picture.id},
                                                       {"prompt", plan_.PromptText(i)},
                                                       {"seed", plan_.pictures[i].seed},
                                                       {"error", picture.error}});
  }
  return all;
}

void PictureSeries::ThrowUnlessAllAreDone() const {
  std::vector<std::string> errors, ids;
  for (const Picture& picture : pictures_) {
    if (!picture.error.empty()) errors.push_back(picture.error);
    if (picture.goes_on) ids.push_back(picture.id);
  }
  if (errors.empty()) return;
  std::string message = errors[0];
  if (pictures_.size() > 1) {
    message = absl::StrCat(errors.size(), " of ", pictures_.size(), " pictures failed; the first: ", errors[0]);
  }
  if (!ids.empty()) {
    absl::StrAppend(&message, "; not cancelled: ", absl::StrJoin(ids, ", "),
                    ", which diptych watch ID follows and diptych fetch ID --output FILE.png gets");
  }
  throw Error(ErrorCode::kUnavailable, message);
}

}  // namespace diptych
