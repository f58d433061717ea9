#include "coordinator/cli/picture_series.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error/error.h"
#include "common/foreign_text/escape.h"
#include "coordinator/cli/command.h"
#include "coordinator/order/error_json.h"

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

void PictureSeries::Make(const Finish& finish, const std::function<void(const ordered_json&)>& report) {
  begun_ = std::chrono::steady_clock::now();
  for (size_t i = 0; i < pictures_.size(); ++i) {
    if (gone_.empty()) SubmitWhatThereIsRoomFor(i);
    Picture& picture = pictures_[i];
    if (picture.error.empty() && !gone_.empty()) {
      picture.error = picture.id.empty() ? NotSubmitted(gone_) : gone_;
      picture.state = picture.id.empty() ? "not_submitted" : "unknown";
      picture.failure = ErrorJson(ErrorCode::kUnavailable, picture.error);
      picture.goes_on = lost_ && !picture.id.empty();
    }
    if (picture.error.empty()) FinishOne(i, finish);
    if (report) report(ReportOf(i));
  }
}

void PictureSeries::FinishOne(size_t index, const Finish& finish) {
  Picture& picture = pictures_[index];
  try {
    picture.report = finish(index, picture.id);
    ++done_;
  } catch (const ConnectionLost& error) {
    lost_ = picture.goes_on = run_ == nullptr;
    Fail(index, "unknown", error);
    GiveUp(error.what());
  } catch (const std::exception& error) {
    if (environment_.interrupt.requested()) throw;
    jobs_.Remove(picture.id);
    const auto* ended = dynamic_cast<const JobNotDone*>(&error);
    Fail(index, ended != nullptr ? std::string(JobStateName(ended->job.state)) : "failed", error);
    if (run_ != nullptr && run_->OneEnded()) GiveUp(error.what());
  }
}

// The last picture that is submitted comes last; what is not submitted yet takes as long as those before.
std::optional<double> PictureSeries::AskForTheLast(const JobView& job) const {
  const size_t waiting = pictures_.size() - next_;
  const std::string& last = next_ > 0 ? pictures_[next_ - 1].id : "";
  std::optional<double> left = job.until_done_ms;
  if (!last.empty() && last != job.id) {
    const absl::StatusOr<JobView> later = client_.Get(last);
    if (!later.ok()) return std::nullopt;
    if (!later->Ended()) left = later->until_done_ms;
  }
  if (!left || waiting == 0) return left;
  if (done_ == 0) return std::nullopt;
  const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begun_;
  return *left + static_cast<double>(waiting) * elapsed.count() / static_cast<double>(done_);
}

std::optional<double> PictureSeries::AllLeftMs(const JobView& job) {
  constexpr std::chrono::seconds kBetween(1);
  const auto now = std::chrono::steady_clock::now();
  if (!left_ms_ || now - asked_ >= kBetween) {
    asked_ = now;
    left_ms_ = AskForTheLast(job);
  }
  if (!left_ms_) return std::nullopt;
  const std::chrono::duration<double, std::milli> since = now - asked_;
  return std::max(0.0, *left_ms_ - since.count());
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
      const std::string why = NotSubmitted(std::string(refusal.message()));
      Fail(next_++, "not_submitted", Error(ToErrorCode(refusal.code()), why));
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

void PictureSeries::Fail(size_t index, const std::string& state, const std::exception& error) {
  Picture& picture = pictures_[index];
  picture.error = error.what();
  picture.failure = ErrorJson(error);
  picture.state = state;
  if (pictures_.size() > 1) Warn(absl::StrCat(plan_.Label(index), ": ", picture.error));
}

void PictureSeries::GiveUp(const std::string& reason) {
  gone_ = reason;
  if (next_ < pictures_.size()) Warn(absl::StrCat(plan_.Label(next_), " and what follows: ", NotSubmitted(reason)));
}

std::string PictureSeries::NotSubmitted(const std::string& reason) const {
  return pictures_.size() > 1 ? absl::StrCat("not submitted: ", reason) : reason;
}

void PictureSeries::Warn(const std::string& text) const {
  environment_.err << "diptych: warning: " << EscapeText(text) << std::endl;
}

ordered_json PictureSeries::ReportOf(size_t index) const {
  const Picture& picture = pictures_[index];
  if (picture.error.empty()) return picture.report;
  return {{"state", picture.state},
          {"id", picture.id},
          {"path", nullptr},
          {"prompt", plan_.PromptText(index)},
          {"seed", plan_.pictures[index].seed},
          {"error", picture.failure}};
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
