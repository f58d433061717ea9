// Time of one DiT evaluation: the network that paints, without caption refinement, which runs once per job.
// --piece-gflops 1000000 cuts nothing, however large (common/nn/pieces.h).
#include <ATen/ATen.h>

#include "bench/support/contender.h"
#include "common/model_config/json_facts.h"
#include "common/nn/compute.h"
#include "common/nn/pieces.h"
#include "common/weights/checkpoint.h"
#include "common/weights/weight_view.h"
#include "render_node/dit/context_refiner.h"
#include "render_node/dit/dit.h"
#include "render_node/sampler/denoise.h"

int main(int argc, char** argv) {
  using namespace diptych;
  auto args = bench::Arguments(argc, argv,
                               {{"transformer", "models/demo/transformer"},
                                {"dtype", "float32"},
                                {"device", "cpu"},
                                {"threads", "0"},
                                {"busy", "0"},
                                {"rounds", "5"},
                                {"rows", "40"},
                                {"piece-gflops", "0"},
                                {"width", "512"},
                                {"height", "512"}});
  const std::string path = args["transformer"];
  bench::BusyNeighbours neighbours(std::stoi(args["busy"]));
  nn::SetThreads(std::stoi(args["threads"]));
  const at::Device device = nn::ChooseDevice(args["device"]);
  const dit::Config config = dit::Config::Parse(ReadTextFile(path + "/config.json"), path);
  const WeightView weights(Checkpoint::Open(path, ModelPart::kTransformer), device, nn::ChooseDtype(args["dtype"], device, at::kFloat));
  const dit::ContextRefiner refiner(weights, config);
  const dit::Dit dit(weights, config);

  const int64_t h = std::stoll(args["height"]) / 8, w = std::stoll(args["width"]) / 8;
  const at::Tensor caption = sampler::InitialNoise(7, 1, std::stoll(args["rows"]), config.cap_feat_dim)[0];
  const auto canvas = dit.Prepare(h, w, refiner.Refine(caption.to(device)));
  const at::Tensor latent = sampler::InitialNoise(42, config.in_channels, h, w).to(device);
  const Pause nobody_leaves = [] {};
  const nn::PauseScope scope(nobody_leaves, std::stod(args["piece-gflops"]) * 1e9);
  bench::Contend([&] { dit.Velocity(latent, 0.5, *canvas).sum().item<float>(); }, neighbours,
                 std::stoi(args["rounds"]));
}
