// From Cancel to a renderer that works on nothing, beside the time of a step. Needs a running pair that nobody else
// uses:
//   bench/cancel_latency --render HOST:PORT [--width 512 --height 512 --rounds 20]
//   bench/cancel_latency --render HOST:PORT --large 8192 [--rounds 5 --spread 5000]
// Cancels jobs at random moments of a step and of the decoder; the bound is one step plus 50 ms. With --large,
// a side in pixels, no step is waited for: it cancels at random moments of the first --spread ms of painting, and once
// more of the decoder where --decoder 1 says so and a step of that size can be waited for. Then what is uninterruptible
// shows.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/support/contender.h"
#include "coordinator/client/render_client.h"

namespace {

using diptych::JobView;
using State = diptych::JobState;
using Milliseconds = std::chrono::duration<double, std::milli>;

template <typename T>
T Value(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(std::string(result.status().message()));
  return *std::move(result);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

class Rounds {
 public:
  Rounds(const diptych::RenderClient& client, diptych::PictureRequest request, int count)
      : client_(client), request_(std::move(request)), count_(count) {}

  // Cancels at a random moment after `reached`, at most `spread_ms` later, and prints what it took.
  template <typename Reached>
  void Run(const char* where, int32_t steps, double spread_ms, Reached&& reached) {
    request_.steps = steps;
    std::vector<double> took;
    for (int round = 0; round < count_; ++round) {
      ++request_.seed;
      const std::string id = Value(client_.Submit(request_)).id;
      JobView job = Value(client_.Get(id));
      for (; !reached(job); job = Value(client_.Get(id))) {
        if (job.Ended()) throw std::runtime_error("a job ended before it could be cancelled; give a larger size");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      std::this_thread::sleep_for(Milliseconds(std::uniform_real_distribution(0.0, spread_ms)(random_)));
      const auto begin = std::chrono::steady_clock::now();
      Value(client_.Cancel(id));
      while (Value(client_.Describe()).running > 0) std::this_thread::sleep_for(Milliseconds(0.5));
      took.push_back(Milliseconds(std::chrono::steady_clock::now() - begin).count());
    }
    std::printf("%d x %d, cancelled %s, %d times: stopped after %.1f ms (median), %.1f ms (most)", request_.width,
                request_.height, where, count_, Median(took), *std::max_element(took.begin(), took.end()));
  }

  // Median of a few steps.
  double StepMs() {
    request_.steps = 5;
    const std::string id = Value(client_.Submit(request_)).id;
    const auto result = Value(client_.Watch(
        id, {}, [](const JobView&) {}, nullptr));
    return Median(result.job.timings.step_ms);
  }

 private:
  const diptych::RenderClient& client_;
  diptych::PictureRequest request_;
  const int count_;
  std::mt19937_64 random_{1};
};

}  // namespace

int main(int argc, char** argv) {
  auto args = diptych::bench::Arguments(argc, argv,
                                        {{"render", "127.0.0.1:7872"},
                                         {"width", "512"},
                                         {"height", "512"},
                                         {"rounds", "20"},
                                         {"large", "0"},
                                         {"spread", "5000"},
                                         {"decoder", "0"}});
  try {
    const auto client = Value(diptych::RenderClient::Make(args["render"], {}, std::chrono::seconds(30)));
    diptych::PictureRequest request;
    request.prompt.emplace().user = "a red circle to the left of a blue square";
    request.width = std::stoi(args["width"]);
    request.height = std::stoi(args["height"]);
    if (const int32_t side = std::stoi(args["large"]); side > 0) {
      request.width = request.height = side;
      Rounds rounds(*client, request, std::stoi(args["rounds"]));
      rounds.Run("while it is painted", 9, std::stod(args["spread"]),
                 [](const JobView& job) { return job.state == State::kRendering; });
      std::printf("\n");
      if (args["decoder"] == "1") {
        rounds.Run("in the decoder", 1, std::stod(args["spread"]),
                   [](const JobView& job) { return job.state == State::kDecoding; });
        std::printf("\n");
      }
      return 0;
    }
    Rounds rounds(*client, request, std::stoi(args["rounds"]));
    const double step_ms = rounds.StepMs();
    rounds.Run("in a step", 1000, step_ms, [](const JobView& job) { return job.step >= 1; });
    std::printf("; a step takes %.1f ms\n", step_ms);
    rounds.Run("in the decoder", 1, 0, [](const JobView& job) { return job.state == State::kDecoding; });
    std::printf("\n");
  } catch (const std::exception& error) {
    std::cerr << "cancel_latency: " << error.what() << std::endl;
    return 1;
  }
}
