#include "coordinator/cli/job_follower.h"

#include <thread>

#include "common/error/error.h"
#include "coordinator/cli/command.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBetweenAttempts(200);

}  // namespace

CancelOnInterrupt::CancelOnInterrupt(const RenderClient& client, Interrupt& interrupt, milliseconds patience)
    : client_(client), patience_(patience), reaction_(interrupt, [this] { React(); }) {}

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
  if (late) (void)client_.Cancel(id);
}

void CancelOnInterrupt::Remove(const std::string& id) {
  std::lock_guard lock(mutex_);
  ids_.erase(id);
  removed_.notify_all();
}

void CancelOnInterrupt::CancelAll() {
  std::set<std::string> ids;
  {
    std::lock_guard lock(mutex_);
    ids.swap(ids_);
    removed_.notify_all();
  }
  for (const std::string& id : ids) (void)client_.Cancel(id);
}

void CancelOnInterrupt::React() {
  std::set<std::string> ids;
  {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
    ids = ids_;
  }
  bool all_asked = true;
  for (const std::string& id : ids) all_asked = client_.Cancel(id).ok() && all_asked;
  std::unique_lock lock(mutex_);
  if (all_asked) removed_.wait_for(lock, patience_, [this] { return ids_.empty(); });
  if (!ids_.empty()) stop_.Stop();
}

WatchResult FollowJob(const RenderClient& client, const std::string& id, const FollowOptions& options,
                      ProgressView& view, const Interrupt& interrupt, CallStop* stop) {
  auto heard = steady_clock::now();
  bool lost = false;
  while (true) {
    const absl::StatusOr<WatchResult> result = client.Watch(
        id, options.want_picture,
        [&](const JobView& job) {
          heard = steady_clock::now();
          lost = false;
          view.Show(job);
        },
        stop);
    if (result.ok()) return *result;
    interrupt.ThrowIfRequested();
    const bool gone = result.status().code() == absl::StatusCode::kUnavailable;
    if (gone) options.check_nodes();
    if (!gone || steady_clock::now() - heard > options.patience) ThrowUnlessOk(result.status());
    if (!lost) view.Note("connection to the renderer lost; trying again");
    lost = true;
    std::this_thread::sleep_for(kBetweenAttempts);
  }
}

void ThrowUnlessDone(const JobView& job) {
  if (job.state == JobView::State::kDone) return;
  if (job.state == JobView::State::kCancelled) throw Error(ErrorCode::kCancelled, "job " + job.id + " was cancelled");
  throw Error(ErrorCode::kInternal, job.error.empty() ? "job " + job.id + " failed without saying why" : job.error);
}

}  // namespace diptych
