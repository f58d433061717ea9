// What many watchers cost a render service while nothing happens.
#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/cpu_time.h"
#include "tests/unit/render_node/service/renderer_in_test.h"

namespace diptych {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr size_t kWatchers = 500, kJobs = 100, kOfOneConnection = 84;
constexpr seconds kWindow(3);

// Watchers that have heard something, have heard a job's end, and are through.
struct Heard {
  std::mutex mutex;
  std::condition_variable changed;
  size_t begun = 0, done = 0, ended = 0;

  bool Await(const size_t Heard::*count, size_t least) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(120), [&] { return this->*count >= least; });
  }
};

// A client that watches and has no thread.
class Follower final : public grpc::ClientReadReactor<v1::WatchResponse> {
 public:
  Follower(v1::Renderer::Stub& stub, const std::string& id, Heard& heard) : heard_(heard) {
    request_.set_id(id);
    stub.async()->Watch(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  ~Follower() override {
    context_.TryCancel();
    std::unique_lock lock(heard_.mutex);
    heard_.changed.wait(lock, [this] { return ended_; });
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    {
      const std::lock_guard lock(heard_.mutex);
      if (!std::exchange(begun_, true)) ++heard_.begun;
      if (response_.job().state() == v1::JOB_STATE_DONE) ++heard_.done;
      heard_.changed.notify_all();
    }
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override {
    const std::lock_guard lock(heard_.mutex);
    ++heard_.ended;
    ended_ = true;
    heard_.changed.notify_all();
  }

  Heard& heard_;
  grpc::ClientContext context_;
  v1::WatchRequest request_;
  v1::WatchResponse response_;
  bool begun_ = false, ended_ = false;
};

int Threads() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "Threads:" && status >> word) return std::stoi(word);
  }
  return 0;
}

// Of one core, while this thread sleeps: of the service and of its clients, which live in this process.
double CpuPercent() {
  const CpuTimer timer;
  std::this_thread::sleep_for(kWindow);
  return 100 * timer.Seconds() / static_cast<double>(kWindow.count());
}

// The least of some windows, so that what ends late of the time before does not count.
double QuietCpuPercent(double enough) {
  double least = CpuPercent();
  for (int i = 0; i < 4 && least >= enough; ++i) least = std::min(least, CpuPercent());
  return least;
}

class WatchersTest : public RendererInTest {
 protected:
  WatchersTest() { Open(); }
};

TEST_F(WatchersTest, FiveHundredCostNoThreadsAndUnderTwoPercentOfACoreAndAllHearTheEnd) {
  renderer_.HoldBefore(1);
  std::vector<std::string> ids;
  for (size_t i = 0; i < kJobs; ++i) ids.push_back(Submit(SampleSpec()));
  Await(ids[0], v1::JOB_STATE_RENDERING, 1);

  Heard heard;
  std::vector<std::unique_ptr<v1::Renderer::Stub>> stubs;
  std::vector<std::unique_ptr<Follower>> followers;
  const auto watch = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (followers.size() % kOfOneConnection == 0) {
        grpc::ChannelArguments own;
        own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        stubs.push_back(v1::Renderer::NewStub(
            grpc::CreateCustomChannel(server_->address().ToString(), grpc::InsecureChannelCredentials(), own)));
      }
      followers.push_back(std::make_unique<Follower>(*stubs.back(), ids[followers.size() % kJobs], heard));
    }
    return heard.Await(&Heard::begun, followers.size());
  };
  const double alone = QuietCpuPercent(1);
  ASSERT_TRUE(watch(kOfOneConnection));  // gRPC has its threads now
  const int threads = Threads();
  ASSERT_TRUE(watch(kWatchers - kOfOneConnection));
  const int more_threads = Threads() - threads;
  const double together = QuietCpuPercent(2);
  std::printf(
      "%zu watchers of %zu jobs: %d more threads than for %zu; idle CPU %.2f %% of a core, without watchers %.2f %%\n",
      kWatchers, kJobs, more_threads, kOfOneConnection, together, alone);
  EXPECT_LE(more_threads, 16) << "none for each";
  EXPECT_LT(together, 2 * kTimeAllowance);

  renderer_.LetGo();
  EXPECT_TRUE(heard.Await(&Heard::done, kWatchers));
  EXPECT_TRUE(heard.Await(&Heard::ended, kWatchers));
}

}  // namespace
}  // namespace diptych
