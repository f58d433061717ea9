#include "coordinator/cli/job_follower.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/cancellable_sleep.h"
#include "common/error/status.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBetweenAttempts(200);
constexpr int kMostLosses = 100;  // in a row without a new report

std::string SecondsText(milliseconds time) { return absl::StrCat(static_cast<double>(time.count()) / 1000, " s"); }

// How long a renderer that stays away is tried again. A connection that stands fills up what its loss has used, and no
// more: one that is accepted and dropped at once, again and again, is away. A job that waits in the queue has nothing
// to say, so reports are not asked for.
class Patience {
 public:
  explicit Patience(milliseconds whole) : whole_(whole), left_(whole) {}

  void Begins() { since_ = steady_clock::now(), stands_ = false; }  // a call
  void Stands() {                                                   // the renderer has answered it
    Use();
    stands_ = ever_stood_ = true;
    told_ = false;
  }
  void Heard(bool is_news) {
    if (!stands_) Stands();
    if (is_news) losses_ = 0;
  }
  bool Lost() {  // the call has failed; true: for the first time since the renderer answered
    Use();
    ++losses_;
    const bool is_first = !told_;
    told_ = true;
    left_ -= kBetweenAttempts;
    return is_first;
  }
  bool over() const { return left_ + kBetweenAttempts <= steady_clock::duration(0) || losses_ > kMostLosses; }
  bool ever_stood() const { return ever_stood_; }

 private:
  void Use() {
    const auto now = steady_clock::now(), since = std::exchange(since_, now);
    left_ = stands_ ? std::min<steady_clock::duration>(whole_, left_ + (now - since)) : left_ - (now - since);
  }

  const steady_clock::duration whole_;
  steady_clock::duration left_;
  steady_clock::time_point since_;
  bool stands_ = false, ever_stood_ = false, told_ = false;
  int losses_ = 0;
};

}  // namespace

CancelOnInterrupt::CancelOnInterrupt(const RenderClient& client, Interrupt& interrupt, milliseconds patience,
                                     Caller caller)
    : client_(client), patience_(patience), caller_(std::move(caller)), reaction_(interrupt, [this] { React(); }) {}

CancelOnInterrupt::~CancelOnInterrupt() {
  std::lock_guard lock(mutex_);
  ids_.clear();
  removed_.notify_all();
}

void CancelOnInterrupt::Add(const std::string& id) {
  bool late = false;
  {
    std::lock_guard lock(mutex_);
    ids_.insert(id);
    late = interrupted_;
  }
  if (late) (void)client_.Cancel(id, caller_);
}

void CancelOnInterrupt::Remove(const std::string& id) {
  std::lock_guard lock(mutex_);
  ids_.erase(id);
  removed_.notify_all();
}

void CancelOnInterrupt::React() {
  std::set<std::string> ids;
  {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
    ids = ids_;
  }
  bool all_asked = true;
  for (const std::string& id : ids) all_asked = client_.Cancel(id, caller_).ok() && all_asked;
  std::unique_lock lock(mutex_);
  if (all_asked) removed_.wait_for(lock, patience_, [this] { return ids_.empty(); });
  if (!ids_.empty()) stop_.Stop();
}

WatchResult FollowJob(const RenderClient& client, const std::string& id, const FollowOptions& options,
                      ProgressView& view, const Interrupt& interrupt, CallStop* stop) {
  Patience patience(options.patience);
  std::optional<JobView> last_seen;
  bool preview_came = false, preview_failed = false, warned = !options.warn_shortened;
  while (true) {
    WatchOptions watch{.want_picture = options.want_picture, .last_seen = last_seen ? &*last_seen : nullptr};
    watch.on_connected = [&] { patience.Stands(); };
    patience.Begins();
    if (!options.preview.empty()) {
      watch.on_preview = [&](int32_t, const std::string& jpeg) {
        preview_came = true;
        if (preview_failed) return;
        try {
          WriteFileAtomically(options.preview, jpeg);
        } catch (const Error& error) {  // a side output does not cost the picture
          preview_failed = true;
          view.Note(std::string("warning: no previews: ") + error.what());
        }
      };
    }
    const absl::StatusOr<WatchResult> result = client.Watch(
        id, watch,
        [&](const JobView& job) {
          if (const std::vector<std::string> lines = ShortenedPrompts(job); !warned && !lines.empty()) {
            for (const std::string& line : lines) view.Warn(line);
            warned = true;
          }
          patience.Heard(last_seen ? job.sequence > last_seen->sequence : true);
          if (last_seen || options.is_new || !job.Ended()) view.Show(job);
          last_seen = job;
        },
        stop);
    if (result.ok()) {
      if (!options.preview.empty() && !preview_came && result->job.state == JobState::kDone) {
        view.Note(
            "warning: no preview came; the renderer makes one after every few steps while it paints "
            "(render.preview_every)");
      }
      return *result;
    }
    interrupt.ThrowIfRequested();
    if (result.status().code() != absl::StatusCode::kUnavailable) ThrowUnlessOk(result.status());
    options.check_nodes();
    const bool is_first = patience.Lost();
    if (patience.over()) {
      throw ConnectionLost(
          ErrorCode::kUnavailable,
          absl::StrCat(
              std::string(result.status().message()),
              patience.ever_stood() ? "" : absl::StrCat("; it was tried for ", SecondsText(options.patience))));
    }
    if (is_first && patience.ever_stood()) {
      view.Note("connection to the renderer lost; trying again");
    } else if (is_first) {
      view.Note(absl::StrCat("the renderer at ", client.address(), " does not answer; trying for ",
                             SecondsText(options.patience)));
    }
    SleepUnlessCancelled(kBetweenAttempts, interrupt.token());
  }
}

void ThrowUnlessDone(const JobView& job) {
  if (job.state == JobState::kDone) return;
  if (job.state == JobState::kCancelled) {
    throw JobNotDone(ErrorCode::kCancelled, "job " + job.id + " was cancelled", job);
  }
  throw JobNotDone(FindErrorCode(job.error_code).value_or(ErrorCode::kInternal),
                   job.error.empty() ? "job " + job.id + " failed without saying why" : job.error, job);
}

}  // namespace diptych
