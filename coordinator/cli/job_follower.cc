#include "coordinator/cli/job_follower.h"

#include <optional>
#include <thread>

#include "coordinator/cli/command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBetweenAttempts(200);

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
  // Of the first attempt that failed since the renderer last answered, not of the last message: a job that waits in the
  // queue has nothing to say.
  std::optional<steady_clock::time_point> lost_since;
  std::optional<JobView> last_seen;
  bool preview_came = false, preview_failed = false, warned = !options.warn_shortened;
  while (true) {
    WatchOptions watch{.want_picture = options.want_picture, .last_seen = last_seen ? &*last_seen : nullptr};
    watch.on_connected = [&] { lost_since.reset(); };
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
          if (last_seen || options.is_new || !job.Ended()) view.Show(job);
          last_seen = job;
        },
        stop);
    if (result.ok()) {
      if (!options.preview.empty() && !preview_came && result->job.state == JobView::State::kDone) {
        view.Note(
            "warning: no preview came; the renderer makes one after every few steps while it paints "
            "(render.preview_every)");
      }
      return *result;
    }
    interrupt.ThrowIfRequested();
    if (result.status().code() != absl::StatusCode::kUnavailable) ThrowUnlessOk(result.status());
    options.check_nodes();
    const auto now = steady_clock::now();
    if (!lost_since) {
      lost_since = now;
      view.Note("connection to the renderer lost; trying again");
    } else if (now - *lost_since > options.patience) {
      throw ConnectionLost(ErrorCode::kUnavailable, std::string(result.status().message()));
    }
    std::this_thread::sleep_for(kBetweenAttempts);
  }
}

void ThrowUnlessDone(const JobView& job) {
  if (job.state == JobView::State::kDone) return;
  if (job.state == JobView::State::kCancelled) {
    throw JobNotDone(ErrorCode::kCancelled, "job " + job.id + " was cancelled", job);
  }
  throw JobNotDone(ErrorCode::kInternal, job.error.empty() ? "job " + job.id + " failed without saying why" : job.error,
                   job);
}

}  // namespace diptych
