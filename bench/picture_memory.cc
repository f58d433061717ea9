// What a picture takes beside the weights, measured: the most that this process holds while it encodes a source, steps
// and decodes, less what it holds before, and how long encoding and decoding take. A picture of each size; the
// constants of render_node/pipeline/picture_memory.cc come from here.
#include <ATen/ATen.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "bench/support/contender.h"
#include "render_node/pipeline/z_image_pipeline.h"
#include "render_node/sampler/denoise.h"

namespace diptych {
namespace {

// VmRSS or VmHWM, in MB.
double Held(const std::string& what) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    double kib = 0;
    if (word == what + ":" && file >> kib) return kib * 1024 / 1e6;
  }
  return 0;
}

void ForgetTheMost() { std::ofstream("/proc/self/clear_refs") << 5; }

struct Most {
  double encode = 0, step = 0, decode = 0;  // MB
  double encode_ms = 0, decode_ms = 0;
};

Most Paint(const ZImagePipeline& pipeline, int32_t width, int32_t height, int64_t rows, double guidance) {
  const at::Tensor caption = sampler::InitialNoise(7, 1, rows, pipeline.facts().cap_feat_dim)[0];
  Most most;
  ForgetTheMost();
  const double before = Held("VmRSS");
  const Picture source{width, height,
                       std::vector<uint8_t>(size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height), 90)};
  PaintMember member{.positive = caption,
                     .negative = guidance > 0 ? caption : at::Tensor(),
                     .parameters = {.width = width, .height = height, .steps = 1, .guidance_scale = guidance},
                     .source = pipeline.facts().no_encoder.empty() ? &source : nullptr};
  member.hooks.on_progress = [&](const RenderProgress& progress) {
    if (progress.stage == RenderStage::kRefined) {  // of the caption, too, which is small
      most.encode = Held("VmHWM") - before;
      most.encode_ms = progress.ms;
      ForgetTheMost();
    } else if (progress.stage == RenderStage::kStep) {
      most.step = Held("VmHWM") - before;
      ForgetTheMost();
    } else if (progress.stage == RenderStage::kDecoded) {
      most.decode = Held("VmHWM") - before;
      most.decode_ms = progress.ms;
    }
  };
  pipeline.Paint(member);
  return most;
}

}  // namespace
}  // namespace diptych

int main(int argc, char** argv) {
  using namespace diptych;
  auto args = bench::Arguments(argc, argv,
                               {{"model", "models/demo"},
                                {"threads", "0"},
                                {"dtype", "auto"},
                                {"rows", "64"},
                                {"guidance", "0"},
                                {"tiled-vae", "auto"},
                                {"sizes", "128x128,256x256,512x512"}});
  const std::string model = args["model"];
  const ZImagePipeline pipeline({.transformer_path = model + "/transformer",
                                 .vae_path = model + "/vae",
                                 .scheduler_path = model + "/scheduler",
                                 .torch_dtype = args["dtype"],
                                 .threads = std::stoi(args["threads"]),
                                 .tiled_vae = args["tiled-vae"]});
  const int64_t rows = std::stoll(args["rows"]);
  const double guidance = std::stod(args["guidance"]);
  Paint(pipeline, 64, 64, rows, guidance);  // touches all weights
  std::istringstream sizes(args["sizes"]);
  for (std::string size; std::getline(sizes, size, ',');) {
    int32_t width = 0, height = 0;
    if (std::sscanf(size.c_str(), "%dx%d", &width, &height) != 2) return 2;
    const Most most = Paint(pipeline, width, height, rows, guidance);
    std::printf("%-12s encoding %8.1f MB %6.0f ms, stepping %8.1f MB, decoding %8.1f MB %6.0f ms\n", size.c_str(),
                most.encode, most.encode_ms, most.step, most.decode, most.decode_ms);
    std::fflush(stdout);
  }
}
