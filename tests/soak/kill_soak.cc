// Kills the daemons at random moments while clients submit jobs and wait for them, then counts: no job lost, none with
// two results, every picture byte for byte that of an undisturbed run.
//   kill_soak [--kills 500] [--encoder-kills 100] [--jobs 300] [--clients 3] [--seed 1]
// Prints one summary line; the exit status is 0 when nothing was wrong.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/client/render_client.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/process.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Plan {
  int kills = 500;
  int encoder_kills = 100;
  int jobs = 300;
  int clients = 3;
  uint64_t seed = 1;
};

Plan ParseArguments(int argc, char** argv) {
  Plan plan;
  if (argc % 2 == 0) throw std::runtime_error("each flag has one number: see the head of this program's source");
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const long value = std::strtol(argv[i + 1], nullptr, 10);
    if (flag == "--kills") {
      plan.kills = static_cast<int>(value);
    } else if (flag == "--encoder-kills") {
      plan.encoder_kills = static_cast<int>(value);
    } else if (flag == "--jobs") {
      plan.jobs = static_cast<int>(value);
    } else if (flag == "--clients") {
      plan.clients = static_cast<int>(value);
    } else if (flag == "--seed") {
      plan.seed = static_cast<uint64_t>(value);
    } else {
      throw std::runtime_error("unknown flag " + flag);
    }
  }
  return plan;
}

// Some prompts come again with another seed: those need no encoder the second time.
PictureRequest RequestOf(int job) {
  static const char* const kShapes[] = {"circle", "square", "triangle", "star", "heart", "ring", "diamond", "cross"};
  static const char* const kColours[] = {"red", "green", "blue", "yellow", "orange", "purple", "pink"};
  PictureRequest request;
  request.prompt.emplace();
  request.prompt->user = std::string("a ") + kColours[job % 7] + " " + kShapes[job % 8];
  request.width = request.height = 128;
  request.seed = static_cast<uint64_t>(job);
  return request;
}

std::unique_ptr<RenderClient> Connect(const std::string& address) {
  auto client = RenderClient::Make(address, {}, milliseconds(5000));
  if (!client.ok()) throw std::runtime_error(std::string(client.status().message()));
  return *std::move(client);
}

// A daemon that is started, killed and started again at one address.
class Mortal {
 public:
  Mortal(std::string program, std::vector<std::string> arguments, const std::string& address)
      : arguments_(std::move(arguments)), address_(address) {
    arguments_.insert(arguments_.begin(), ProgramPath(program));
    arguments_.insert(arguments_.end(), {"--listen", address, "--threads", "1"});
  }

  void Start() { process_.emplace(arguments_); }
  void AwaitServing() {
    Await(
        arguments_[0] + " serves",
        [&] {
          if (!process_->IsRunning()) throw std::runtime_error(arguments_[0] + " ended:\n" + process_->Err());
          return process_->Err().find("listening on " + address_) != std::string::npos;
        },
        std::chrono::seconds(120));
  }
  void Kill() {
    process_->Signal(SIGKILL);
    process_->Wait();
  }
  std::string Log() const { return process_->Err(); }

 private:
  std::vector<std::string> arguments_;
  const std::string address_;
  std::optional<Process> process_;
};

class Soak {
 public:
  explicit Soak(const Plan& plan) : plan_(plan) {}

  int Run() {
    PaintUndisturbed();
    const auto begin = steady_clock::now();
    {
      encoder_.Start();
      encoder_.AwaitServing();
      // A daemon dies with the thread that started it: these stay to the end.
      const auto kill = [&](void (Soak::*work)()) {
        return std::jthread([this, work] {
          Guarded([&] { (this->*work)(); });
          while (!over_) std::this_thread::sleep_for(milliseconds(5));
        });
      };
      const std::jthread renderer_killer = kill(&Soak::KillRenderer), encoder_killer = kill(&Soak::KillEncoder);
      {
        std::vector<std::jthread> clients;
        for (int client = 0; client < plan_.clients; ++client) {
          clients.emplace_back([this, client] { Guarded([&] { BeClient(client); }); });
        }
      }
      while (!given_up_ && encoder_kills_ < plan_.encoder_kills) std::this_thread::sleep_for(milliseconds(5));
      Guarded([&] { Count(); });
      over_ = true;
    }
    const double seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
    for (const std::string& wrong : wrong_) std::printf("WRONG: %s\n", wrong.c_str());
    std::printf(
        "%d kill -9 of the renderer, %d of the encoder, %d jobs of %d clients in %.0f s: %d lost, %d failed, %d "
        "different pictures, %d of several results; %d attempts, %d jobs went on from a checkpoint\n",
        renderer_kills_.load(), encoder_kills_.load(), plan_.jobs, plan_.clients, seconds, lost_.load(), failed_,
        different_, twice_, attempts_, resumed_.load());
    return wrong_.empty() ? 0 : 1;
  }

 private:
  void Guarded(const std::function<void()>& work) {
    try {
      work();
    } catch (const std::exception& error) {
      Wrong(error.what());
      given_up_ = true;
    }
  }
  void Wrong(const std::string& text) {
    const std::lock_guard lock(mutex_);
    wrong_.push_back(text);
  }

  void PaintUndisturbed() {
    Daemon encoder = StartEncoder(DemoModelPath(), {"--threads", "1"});
    Daemon renderer = StartRenderer(DemoModelPath(), encoder.address(), scratch_ / "quiet", {"--threads", "1"});
    const auto client = Connect(renderer.address());
    const auto begin = steady_clock::now();
    for (int job = 0; job < plan_.jobs; ++job) {
      const absl::StatusOr<Submission> submission = client->Submit(RequestOf(job));
      if (!submission.ok()) throw std::runtime_error(submission.status().ToString());
      const auto result = client->Watch(
          submission->id, {.want_picture = true}, [](const JobView&) {}, nullptr);
      if (!result.ok() || result->png.empty()) throw std::runtime_error("an undisturbed picture failed");
      quiet_.push_back(result->png);
    }
    picture_ms_ = std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count() / plan_.jobs;
  }

  // Until the renderer that was just started paints, or no client has anything for it for a while.
  void AwaitWork() {
    renderer_.AwaitServing();
    const auto begin = steady_clock::now();
    auto idle_since = begin;
    while (!given_up_ && renderer_.Log().find(" rendering, attempt ") == std::string::npos) {
      if (open_jobs_ > 0) idle_since = steady_clock::now();
      if (steady_clock::now() - idle_since > milliseconds(150)) return;
      if (steady_clock::now() - begin > std::chrono::minutes(2))
        throw std::runtime_error("nothing is painted for clients that wait");
      std::this_thread::sleep_for(milliseconds(2));
    }
  }

  // Lives of about a picture's length, counted from the moment at which it paints; one in ten is ended blindly, most of
  // those while the model is loaded. Every second is long enough for all that was interrupted (one job painted, one
  // finished, one encoded) to end: a job that was in work at three ends in a row without getting further would rightly
  // be failed.
  void KillRenderer() {
    std::mt19937_64 random(plan_.seed);
    while (renderer_kills_ < plan_.kills && !given_up_) {
      renderer_.Start();
      if (renderer_kills_ % 2 == 1) {
        AwaitWork();
        Sleep(4 * picture_ms_, 5 * picture_ms_, random);
      } else if (random() % 10 == 0) {
        Sleep(0, 2 * picture_ms_, random);
      } else {
        AwaitWork();
        Sleep(0, 1.5 * picture_ms_, random);
      }
      CountResumed(renderer_.Log());
      renderer_.Kill();
      ++renderer_kills_;
    }
    renderer_.Start();
    renderer_.AwaitServing();
  }

  void KillEncoder() {
    std::mt19937_64 random(plan_.seed + 1);
    while (encoder_kills_ < plan_.encoder_kills && !given_up_) {
      // Spread over the life of the soak.
      const double share = static_cast<double>(renderer_kills_) / plan_.kills;
      if (share * plan_.encoder_kills < encoder_kills_) {
        std::this_thread::sleep_for(milliseconds(5));
        continue;
      }
      Sleep(0, picture_ms_, random);
      encoder_.Kill();
      ++encoder_kills_;
      Sleep(0, picture_ms_, random);
      encoder_.Start();
    }
  }

  void BeClient(int number) {
    std::mt19937_64 random(plan_.seed + 2 + static_cast<uint64_t>(number));
    const auto client = Connect(address_);
    // Some are left open, so that a renderer that starts again finds work at once: a client comes back to it only after
    // a pause that is longer than most of its lives.
    constexpr size_t kOpenJobs = 3;
    std::deque<std::pair<int, std::string>> open;
    const auto follow_first = [&] {
      Follow(*client, open.front().first, open.front().second);
      open.pop_front();
      --open_jobs_;
    };
    for (int job = number; job < plan_.jobs; job += plan_.clients) {
      // Not all at the beginning: there must be something to kill until the end.
      while (!given_up_ && renderer_kills_ < plan_.kills &&
             static_cast<int64_t>(renderer_kills_) * plan_.jobs < static_cast<int64_t>(job - 2) * plan_.kills) {
        std::this_thread::sleep_for(milliseconds(5));
      }
      PictureRequest request = RequestOf(job);
      request.client = "client" + std::to_string(number);
      request.idempotency_key = "job" + std::to_string(job);
      ++open_jobs_;
      const std::string id = Submit(*client, request);
      if (random() % 3 == 0 && Submit(*client, request) != id) {
        Wrong("job " + std::to_string(job) + " was submitted again and got another id");
      }
      open.emplace_back(job, id);
      if (open.size() == kOpenJobs) follow_first();
      if (given_up_) return;
    }
    while (!open.empty()) follow_first();
  }

  std::string Submit(const RenderClient& client, const PictureRequest& request) {
    while (!given_up_) {
      const absl::StatusOr<Submission> submission = client.Submit(request);
      if (submission.ok()) return submission->id;
      if (!MayPass(submission.status())) throw std::runtime_error("submit: " + submission.status().ToString());
      std::this_thread::sleep_for(milliseconds(20));
    }
    return "";
  }

  void Follow(const RenderClient& client, int job, const std::string& id) {
    while (!given_up_) {
      const auto result = client.Watch(
          id, {.want_picture = true}, [](const JobView&) {}, nullptr);
      if (result.ok()) {
        const std::lock_guard lock(mutex_);
        results_[job] = {id, *result};
        return;
      }
      if (result.status().code() == absl::StatusCode::kNotFound) {
        ++lost_;
        Wrong("job " + id + " was accepted and is not there");
        return;
      }
      if (!MayPass(result.status())) throw std::runtime_error("watch: " + result.status().ToString());
      std::this_thread::sleep_for(milliseconds(20));
    }
  }

  // What a client hears of a renderer that is not there, or goes while it speaks.
  static bool MayPass(const absl::Status& status) {
    return status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kDeadlineExceeded ||
           status.code() == absl::StatusCode::kDataLoss || status.code() == absl::StatusCode::kCancelled;
  }

  void CountResumed(const std::string& log) {
    for (size_t at = 0; (at = log.find("goes on after step", at)) != std::string::npos; ++at) ++resumed_;
  }

  void Count() {
    CountResumed(renderer_.Log());
    for (const auto& [job, result] : results_) {
      const auto& [id, watched] = result;
      attempts_ += watched.job.attempt;
      if (watched.job.state != JobState::kDone) {
        ++failed_;
        Wrong("job " + id + " is " + std::string(JobStateName(watched.job.state)) + ": " + watched.job.error);
      } else if (watched.png != quiet_[static_cast<size_t>(job)]) {
        ++different_;
        Wrong("job " + id + " has another picture than in the undisturbed run");
      }
    }
    if (static_cast<int>(results_.size()) != plan_.jobs) {
      lost_ += plan_.jobs - static_cast<int>(results_.size());
      Wrong(std::to_string(results_.size()) + " of " + std::to_string(plan_.jobs) + " jobs came to an end");
    }
    // What the renderer itself says it has.
    int listed = 0;
    std::set<std::string> pictures;
    const absl::Status list = Connect(address_)->ForEachJob({}, [&](const JobView& job) {
      ++listed;
      pictures.insert(job.picture_sha256);
      return true;
    });
    if (!list.ok()) Wrong("list: " + list.ToString());
    if (listed != plan_.jobs) {
      twice_ += std::max(0, listed - plan_.jobs);
      Wrong("the renderer has " + std::to_string(listed) + " jobs");
    }
    std::set<std::string> files;
    for (const auto& file : std::filesystem::directory_iterator(scratch_ / "state/pictures")) {
      files.insert(file.path().stem().string());
    }
    if (files != pictures) {
      ++twice_;
      Wrong("there are " + std::to_string(files.size()) + " picture files for " + std::to_string(pictures.size()) +
            " pictures");
    }
    if (!std::filesystem::is_empty(scratch_ / "state/checkpoints")) Wrong("checkpoints are left");
    // Most kills shall have met work, else nothing was shown.
    if (attempts_ - plan_.jobs < plan_.kills / 4) Wrong("most kills met an idle renderer");
    if (resumed_ < plan_.kills / 12) Wrong("hardly a job went on from a checkpoint");
  }

  static void Sleep(double least_ms, double most_ms, std::mt19937_64& random) {
    const double ms = std::uniform_real_distribution<double>(least_ms, most_ms)(random);
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
  }

  const Plan plan_;
  const Scratch scratch_;
  const std::string encoder_address_ = FreeAddress();
  const std::string address_ = FreeAddress();
  Mortal encoder_{"diptych-encoderd", {"--model-path", DemoModelPath()}, encoder_address_};
  Mortal renderer_{"diptych-renderd",
                   {"--model-path", DemoModelPath(), "--encoder", encoder_address_, "--state-dir", scratch_ / "state"},
                   address_};
  std::vector<std::string> quiet_;  // the PNG of each job
  double picture_ms_ = 0;

  std::atomic<int> renderer_kills_ = 0, encoder_kills_ = 0, resumed_ = 0, open_jobs_ = 0;
  std::atomic<bool> given_up_ = false, over_ = false;
  std::atomic<int> lost_ = 0;
  int failed_ = 0, different_ = 0, twice_ = 0, attempts_ = 0;
  std::mutex mutex_;  // guards what follows
  std::map<int, std::pair<std::string, WatchResult>> results_;
  std::vector<std::string> wrong_;
};

}  // namespace
}  // namespace diptych::integration

int main(int argc, char** argv) try {
  return diptych::integration::Soak(diptych::integration::ParseArguments(argc, argv)).Run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "kill_soak: %s\n", error.what());
  return 1;
}
