#include "render_node/service/render_daemon.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "common/net/server_runner.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/jobs/job_uploads.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "render_node/jobs/state_folder.h"
#include "tests/support/cpu_time.h"
#include "tests/support/notify_socket.h"
#include "tests/support/scrape.h"
#include "tests/unit/render_node/service/render_samples.h"

// gRPC does not survive fork(), so this process uses none: daemons and encoders live in children.
namespace diptych {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// Paints nothing much, at the given pace. `stubborn`: does not look at the token.
class SlowRenderer final : public PictureRenderer {
 public:
  explicit SlowRenderer(milliseconds step, bool stubborn = false) : step_(step), stubborn_(stubborn) {}
  const RendererFacts& facts() const override { return facts_; }
  Picture Render(const RenderRequest& request) override {
    const RenderParameters& parameters = request.parameters;
    const RenderHooks& hooks = request.hooks;
    const CancelToken& cancel = request.cancel;
    for (int32_t step = 1; step <= parameters.steps; ++step) {
      if (!stubborn_) cancel.ThrowIfCancelled();
      std::this_thread::sleep_for(step_);
      hooks.on_progress({RenderStage::kStep, step, parameters.steps, 0, 1});
    }
    return {parameters.width, parameters.height, std::vector<uint8_t>(3 * parameters.width * parameters.height)};
  }

 private:
  const RendererFacts facts_ = SampleFacts();
  const milliseconds step_;
  const bool stubborn_;
};

class WideEncoder final : public v1::Encoder::Service {
  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeEncoderRequest*,
                        v1::DescribeEncoderResponse* response) override {
    response->set_model_fingerprint(std::string(64, 'a'));
    response->set_tokenizer_fingerprint(std::string(64, 'b'));
    response->set_width(48);
    response->set_dtype(v1::STATE_DTYPE_BFLOAT16);
    return grpc::Status::OK;
  }
};

// A child process whose stderr this one reads.
class Child {
 public:
  explicit Child(const std::function<int()>& work, const fs::path& out = "/dev/null") {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    process_ = fork();
    if (process_ == 0) {
      dup2(ends[1], STDERR_FILENO);
      close(ends[0]);
      if (freopen(out.c_str(), "w", stdout) == nullptr) _exit(99);
      _exit(work());
    }
    close(ends[1]);
    log_ = ends[0];
  }
  ~Child() {
    if (process_ > 0) kill(process_, SIGKILL);
    if (process_ > 0) waitpid(process_, nullptr, 0);
    close(log_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Reads until the log contains `text`; false when the child ends first.
  bool Await(const std::string& text) {
    char buffer[512];
    while (text_.find(text) == std::string::npos) {
      const ssize_t size = read(log_, buffer, sizeof buffer);
      if (size <= 0) return false;
      text_.append(buffer, static_cast<size_t>(size));
    }
    return true;
  }
  void Terminate() { kill(process_, SIGTERM); }
  // The exit status, or -1.
  int Join() {
    Await("\1 never in a log");
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const std::string& log() const { return text_; }

  double CpuSeconds() const {  // all of it so far
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &time) != 0) return 1e9;
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }

 private:
  pid_t process_ = 0;
  int log_ = -1;
  std::string text_;
};

class RenderDaemon : public testing::Test {
 protected:
  RenderDaemon() {
    std::string name = (fs::temp_directory_path() / "render_daemon_test.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = name;
    config_.listen = {"127.0.0.1", 0};
    config_.state_dir = root_ / "state";
    config_.limits.waiting = 10;
  }
  ~RenderDaemon() override { fs::remove_all(root_); }

  // As main.cc runs it.
  std::function<int()> Daemon(LoadRenderer load) const {
    return [config = config_, load = std::move(load)] {
      const absl::Status status = RunRenderDaemon(config, *MakeLogger("test", LogLevel::kInfo), load);
      if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
      return status.ok() ? 0 : 1;
    };
  }
  std::function<int()> Daemon(milliseconds step, bool stubborn = false) const {
    return Daemon([=](const auto&) { return std::make_unique<SlowRenderer>(step, stubborn); });
  }

  // A job with its conditioning, as if accepted in an earlier life.
  std::string StoredJob(int32_t steps) const {
    const StateFolder folder(config_.state_dir);
    SqliteJobStore store(folder, SystemRandom());
    JobSpec spec;
    spec.width = spec.height = 16;
    spec.steps = steps;
    ConditioningFiles files(folder.conditioning());
    return JobUploads(store, files).Accept(spec, {SampleConditioning(3, 1), {}}, 1).id;
  }
  JobState StateOf(const std::string& id) const {
    const StateFolder folder(config_.state_dir);
    return SqliteJobStore(folder, SystemRandom()).Get(id)->state;
  }
  std::string Out() const {
    std::stringstream text;
    text << std::ifstream(OutFile()).rdbuf();
    return text.str();
  }
  fs::path OutFile() const { return root_ / "out"; }

  fs::path root_;
  RenderDaemonConfig config_;
};

TEST_F(RenderDaemon, TellsItsPortBeforeItLoadsServesAndStopsInOrder) {
  Child daemon(Daemon([this](const auto&) {
                 if (Out().find("{\"listening\":\"127.0.0.1:") == 0) std::fprintf(stderr, "told before loading\n");
                 return std::make_unique<SlowRenderer>(milliseconds(1));
               }),
               OutFile());
  ASSERT_TRUE(daemon.Await("listening on 127.0.0.1:")) << daemon.log();
  EXPECT_NE(daemon.log().find("told before loading"), std::string::npos) << daemon.log();
  daemon.Terminate();
  EXPECT_EQ(daemon.Join(), 0) << daemon.log();
  const std::string out = Out();
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1) << out;
  EXPECT_EQ(out.find("127.0.0.1:0\""), std::string::npos) << out;
}

TEST_F(RenderDaemon, CostsNextToNothingWhileItIsIdle) {
  Child daemon(Daemon(milliseconds(1)));
  ASSERT_TRUE(daemon.Await("listening on")) << daemon.log();
  double least = 100;
  for (int second = 0; second < 5 && least >= 0.5; ++second) {  // what is left of its start does not count
    const double before = daemon.CpuSeconds();
    std::this_thread::sleep_for(milliseconds(1000));
    least = std::min(least, 100 * (daemon.CpuSeconds() - before));
  }
  std::printf("an idle render daemon: %.2f %% of a core\n", least);
  EXPECT_LT(least, 2 * kTimeAllowance);
  daemon.Terminate();
  EXPECT_EQ(daemon.Join(), 0) << daemon.log();
}

TEST_F(RenderDaemon, BadCheckpointIsOneLineAndStatusOne) {
  Child daemon(Daemon([](const auto&) -> std::unique_ptr<PictureRenderer> {
    throw Error(ErrorCode::kInvalidArgument, "transformer: tensor x_pad_token is missing");
  }));
  EXPECT_EQ(daemon.Join(), 1);
  EXPECT_EQ(daemon.log(), "transformer: tensor x_pad_token is missing\n");
}

TEST_F(RenderDaemon, SecondDaemonOnTheSameFolderIsRefused) {
  Child first(Daemon(milliseconds(1)));
  ASSERT_TRUE(first.Await("listening on")) << first.log();
  Child second(Daemon(milliseconds(1)));
  EXPECT_EQ(second.Join(), 1);
  EXPECT_NE(second.log().find(config_.state_dir.string()), std::string::npos) << second.log();
  first.Terminate();
  EXPECT_EQ(first.Join(), 0) << first.log();
}

TEST_F(RenderDaemon, EncoderOfAnotherWidthIsRefusedNamingBoth) {
  Child encoder([] {
    WideEncoder service;
    const auto server = ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &service}});
    if (!server.ok()) return 1;
    std::fprintf(stderr, "port=%d;", (*server)->address().port);
    for (;;) pause();
  });
  ASSERT_TRUE(encoder.Await(";"));
  const int port = std::stoi(encoder.log().substr(encoder.log().find('=') + 1));
  config_.encoders = {{"127.0.0.1", static_cast<uint16_t>(port)}};
  Child daemon(Daemon(milliseconds(1)));
  EXPECT_EQ(daemon.Join(), 1);
  EXPECT_EQ(daemon.log(), "encoder 127.0.0.1:" + std::to_string(port) +
                              " gives rows of 48 values, this DiT takes rows of 8 (cap_feat_dim)\n");
}

TEST_F(RenderDaemon, StartsWithoutItsEncoderAndSaysSo) {
  config_.encoders = {{"127.0.0.1", 9}};
  Child daemon(Daemon(milliseconds(1)));
  ASSERT_TRUE(daemon.Await("listening on")) << daemon.log();
  EXPECT_NE(daemon.log().find("encoder 127.0.0.1:9 does not answer yet"), std::string::npos) << daemon.log();
  daemon.Terminate();
  EXPECT_EQ(daemon.Join(), 0) << daemon.log();
}

TEST_F(RenderDaemon, StoppedWhilePaintingItGoesOnAfterTheNextStart) {
  const std::string id = StoredJob(20);
  {
    Child daemon(Daemon(milliseconds(50)));
    ASSERT_TRUE(daemon.Await("rendering")) << daemon.log();
    daemon.Terminate();
    EXPECT_EQ(daemon.Join(), 0) << daemon.log();
  }
  EXPECT_EQ(StateOf(id), JobState::kQueued);
  {
    Child daemon(Daemon(milliseconds(1)));
    ASSERT_TRUE(daemon.Await("done")) << daemon.log();
    daemon.Terminate();
    EXPECT_EQ(daemon.Join(), 0) << daemon.log();
  }
  EXPECT_EQ(StateOf(id), JobState::kDone);
}

TEST_F(RenderDaemon, StepThatCannotBeInterruptedDelaysTheEndByNoMoreThanSeconds) {
  const std::string id = StoredJob(1);
  config_.stop_timeout = milliseconds(2000);
  {
    Child daemon(Daemon(std::chrono::minutes(5), /*stubborn=*/true));
    ASSERT_TRUE(daemon.Await("rendering")) << daemon.log();
    const auto begin = std::chrono::steady_clock::now();
    daemon.Terminate();
    EXPECT_EQ(daemon.Join(), 0) << daemon.log();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  }
  Child daemon(Daemon(milliseconds(1)));
  ASSERT_TRUE(daemon.Await("done")) << daemon.log();
  EXPECT_EQ(daemon.log().find("interrupted"), std::string::npos) << "it was handed back: " << daemon.log();
  daemon.Terminate();
  EXPECT_EQ(daemon.Join(), 0) << daemon.log();
  EXPECT_EQ(StateOf(id), JobState::kDone);
}

// What systemd sets for a unit with WatchdogSec.
void BeWatched(const NotifySocket& manager) {
  setenv("NOTIFY_SOCKET", manager.path().c_str(), 1);
  setenv("WATCHDOG_USEC", "100000", 1);
  unsetenv("WATCHDOG_PID");
}

TEST_F(RenderDaemon, TellsTheServiceManagerWhatItDoes) {
  NotifySocket manager;
  const std::string id = StoredJob(1000);
  Child daemon([&, work = Daemon(milliseconds(20))] {
    BeWatched(manager);
    return work();
  });
  ASSERT_TRUE(manager.Await("READY=1")) << daemon.log();
  ASSERT_TRUE(manager.Await("STATUS=painting " + id + ", step ")) << daemon.log();
  const std::vector<std::string>& messages = manager.Drain();
  EXPECT_TRUE(std::any_of(messages.begin(), messages.end(), [&](const std::string& message) {
    return message.find("painting " + id) != std::string::npos &&
           message.find(" of 1000; no jobs wait") != std::string::npos;
  })) << messages.back();
  ASSERT_TRUE(manager.Await("WATCHDOG=1")) << daemon.log();
  EXPECT_EQ(manager.Drain().front(), "STATUS=loading the model");
  daemon.Terminate();
  EXPECT_EQ(daemon.Join(), 0) << daemon.log();
  EXPECT_EQ(manager.Count("STOPPING=1\nSTATUS=stopping"), 1);
}

TEST_F(RenderDaemon, IsNotReadyWhileItLoads) {
  NotifySocket manager;
  Child daemon([&, work = Daemon([](const auto&) -> std::unique_ptr<PictureRenderer> {
                     std::fprintf(stderr, "loading\n");
                     for (;;) pause();
                   })] {
    BeWatched(manager);
    return work();
  });
  ASSERT_TRUE(daemon.Await("loading")) << daemon.log();
  EXPECT_EQ(manager.Drain(), std::vector<std::string>{"STATUS=loading the model"});
}

TEST_F(RenderDaemon, PrometheusSeesItsFiguresMove) {
  config_.metrics_listen = {"127.0.0.1", 0};
  StoredJob(30);
  Child daemon(Daemon(milliseconds(50)));
  const std::string where = "metrics at http://127.0.0.1:";
  ASSERT_TRUE(daemon.Await("/metrics")) << daemon.log();
  const auto port = static_cast<uint16_t>(std::stoi(daemon.log().substr(daemon.log().find(where) + where.size())));
  // Of a job that is painted: steps are counted as they end.
  const std::string steps = "diptych_stage_seconds_count{stage=\"step\"}";
  std::map<std::string, double> before, after;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (before[steps] == 0 && std::chrono::steady_clock::now() < end) before = Scrape(port);
  ASSERT_GT(before[steps], 0) << HttpGet(port, "/metrics");
  ASSERT_TRUE(daemon.Await("done")) << daemon.log();
  after = Scrape(port);
  EXPECT_EQ(before.at("diptych_jobs_ended_total{outcome=\"done\"}"), 0);
  EXPECT_EQ(after.at("diptych_jobs_ended_total{outcome=\"done\"}"), 1);
  EXPECT_LT(before.at(steps), 30);
  EXPECT_EQ(after.at(steps), 30);
  EXPECT_GT(after.at("diptych_stage_seconds_sum{stage=\"total\"}"), 0);
  EXPECT_EQ(before.at("diptych_jobs{state=\"rendering\"}"), 1);
  EXPECT_EQ(after.at("diptych_jobs{state=\"rendering\"}"), 0);
  for (const char* name :
       {"diptych_jobs{state=\"queued\"}", "diptych_waiting_jobs{jobs_of_client=\"1\"}",
        "diptych_waiting_clients{jobs_of_client=\"100+\"}", "diptych_jobs_ended_total{outcome=\"cancelled\"}",
        "diptych_submissions_refused_total{reason=\"queue_limit\"}", "diptych_stage_seconds_count{stage=\"queue\"}",
        "diptych_stage_seconds_bucket{stage=\"decode\",le=\"0.25\"}", "diptych_conditioning_bytes{part=\"disk\"}",
        "diptych_conditioning_lookups_total{result=\"miss\"}", "diptych_conditioning_damaged_total",
        "diptych_pictures_bytes", "diptych_process_resident_memory_bytes", "diptych_process_threads"}) {
    EXPECT_TRUE(after.contains(name)) << name;
  }
  EXPECT_GT(after.at("diptych_pictures_bytes"), 0);
  daemon.Terminate();
  EXPECT_EQ(daemon.Join(), 0) << daemon.log();
}

TEST_F(RenderDaemon, TakenMetricsAddressIsOneLineBeforeLoading) {
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  config_.metrics_listen = {"127.0.0.1", ntohs(address.sin_port)};
  Child daemon(Daemon([](const auto&) -> std::unique_ptr<PictureRenderer> { _exit(98); }));
  EXPECT_EQ(daemon.Join(), 1);
  EXPECT_EQ(daemon.log().find("cannot listen for metrics on 127.0.0.1:"), 0u) << daemon.log();
  close(taken);
}

TEST_F(RenderDaemon, StopsAtOnceWhileLoading) {
  Child daemon(Daemon([](const auto&) -> std::unique_ptr<PictureRenderer> {
    std::fprintf(stderr, "loading\n");
    for (;;) pause();
  }));
  ASSERT_TRUE(daemon.Await("loading"));
  daemon.Terminate();
  EXPECT_EQ(daemon.Join(), 0) << daemon.log();
}

}  // namespace
}  // namespace diptych
