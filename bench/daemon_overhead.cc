// What the daemons add to the time of the models: queue, gRPC, store and PNG. Needs a running pair:
//   bench/daemon_overhead --render HOST:PORT [--width 512 --height 512 --steps 9 --pictures 11]
//                        [--tls-cert FILE --tls-key FILE --tls-ca FILE]
// Times Submit to the last byte of Watch, as a client that keeps its connection sees it, less what the models took by
// the job's own timings: encode, refine, steps, decode. Prints medians.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "bench/support/contender.h"
#include "coordinator/client/render_client.h"

namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

struct Sample {
  double wall_ms = 0;
  double models_ms = 0;
  double overhead_ms() const { return wall_ms - models_ms; }
};

absl::StatusOr<Sample> MakePicture(const diptych::RenderClient& client, const diptych::PictureRequest& request) {
  const auto begin = std::chrono::steady_clock::now();
  const absl::StatusOr<diptych::Submission> job = client.Submit(request);
  if (!job.ok()) return job.status();
  const absl::StatusOr<diptych::WatchResult> result = client.Watch(
      job->id, {.want_picture = true}, [](const diptych::JobView&) {}, nullptr);
  if (!result.ok()) return result.status();
  if (result->png.empty()) return absl::InternalError(result->job.error);
  const diptych::JobTimings& t = result->job.timings;
  return Sample{
      .wall_ms = Milliseconds(std::chrono::steady_clock::now() - begin).count(),
      .models_ms = std::accumulate(t.step_ms.begin(), t.step_ms.end(), t.encode_ms + t.refine_ms + t.decode_ms)};
}

double Median(std::vector<Sample>& samples, double (*value)(const Sample&)) {
  std::sort(samples.begin(), samples.end(), [&](const Sample& a, const Sample& b) { return value(a) < value(b); });
  return value(samples[samples.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  auto args = diptych::bench::Arguments(argc, argv,
                                        {{"render", "127.0.0.1:7872"},
                                         {"width", "512"},
                                         {"height", "512"},
                                         {"steps", "9"},
                                         {"pictures", "11"},
                                         {"tls-cert", ""},
                                         {"tls-key", ""},
                                         {"tls-ca", ""}});
  const diptych::Credentials credentials{.cert = args["tls-cert"], .key = args["tls-key"], .ca = args["tls-ca"]};
  const auto client = diptych::RenderClient::Make(args["render"], credentials, std::chrono::seconds(30));
  diptych::PictureRequest request;
  request.prompt.emplace().user = "a red circle to the left of a blue square";
  request.width = std::stoi(args["width"]);
  request.height = std::stoi(args["height"]);
  request.steps = std::stoi(args["steps"]);
  std::vector<Sample> samples;
  for (int i = -1; i < std::stoi(args["pictures"]); ++i) {  // the first warms up
    request.seed = static_cast<uint64_t>(i + 1);
    const absl::StatusOr<Sample> sample = client.ok() ? MakePicture(**client, request) : client.status();
    if (!sample.ok()) {
      std::cerr << "daemon_overhead: " << sample.status().message() << std::endl;
      return 1;
    }
    if (i >= 0) samples.push_back(*sample);
  }
  const double models = Median(samples, [](const Sample& s) { return s.models_ms; });
  const double wall = Median(samples, [](const Sample& s) { return s.wall_ms; });
  const double overhead = Median(samples, [](const Sample& s) { return s.overhead_ms(); });
  std::printf("%zu pictures of %s x %s, %s steps (medians): models %.1f ms, whole %.1f ms, daemons %.1f ms (%.2f %%)\n",
              samples.size(), args["width"].c_str(), args["height"].c_str(), args["steps"].c_str(), models, wall,
              overhead, 100 * overhead / models);
}
