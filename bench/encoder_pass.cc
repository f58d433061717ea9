// Time of one encoder pass: token ids to the hidden state at index -2.
#include <ATen/ATen.h>

#include <vector>

#include "bench/support/contender.h"
#include "common/model_config/json_facts.h"
#include "common/nn/compute.h"
#include "common/nn/pieces.h"
#include "common/weights/checkpoint.h"
#include "common/weights/weight_view.h"
#include "encoder_node/qwen3/model.h"

int main(int argc, char** argv) {
  using namespace diptych;
  auto args = bench::Arguments(argc, argv,
                               {{"text-encoder", "models/demo/text_encoder"},
                                {"dtype", "bfloat16"},
                                {"device", "cpu"},
                                {"threads", "0"},
                                {"busy", "0"},
                                {"rounds", "5"},
                                {"piece-gflops", "0"},
                                {"tokens", "22"}});
  const std::string path = args["text-encoder"];
  bench::BusyNeighbours neighbours(std::stoi(args["busy"]));
  nn::SetThreads(std::stoi(args["threads"]));
  const at::Device device = nn::ChooseDevice(args["device"]);
  const qwen3::Model model(
      WeightView(Checkpoint::Open(path, ModelPart::kTextEncoder), device, nn::ChooseDtype(args["dtype"], device, at::kBFloat16)),
      qwen3::Config::Parse(ReadTextFile(path + "/config.json"), path));
  std::vector<int64_t> ids(std::stoll(args["tokens"]));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i * 37 % 200);
  const Pause nobody_leaves = [] {};
  const nn::PauseScope scope(nobody_leaves, std::stod(args["piece-gflops"]) * 1e9);  // 1000000: nothing is cut
  bench::Contend([&] { model.HiddenState(ids, -2, nobody_leaves).sum().item<float>(); }, neighbours,
                 std::stoi(args["rounds"]));
}
