// What checkpoints and previews add to a step: the time between two steps that is in neither of them. With --together N
// instead: how many pictures a second, N together against N one after another, in turn.
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/support/contender.h"
#include "render_node/jobs/checkpoint_store.h"
#include "render_node/pipeline/z_image_pipeline.h"
#include "render_node/sampler/denoise.h"

namespace diptych {
namespace {

constexpr char kJobId[] = "01ARYZ6S410000000000000000";

double Now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Print(const std::string& what, std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  std::printf("%-48s %8.3f ms (%.3f..%.3f), %zu times\n", what.c_str(), ms[ms.size() / 2], ms.front(), ms.back(),
              ms.size());
}

// Saving alone, for a latent of this shape.
void Save(CheckpointStore& store, int32_t channels, int32_t side) {
  const at::Tensor noise = sampler::InitialNoise(1, channels, side, side).contiguous();
  PictureCheckpoint checkpoint;
  checkpoint.determinants = std::string(500, 'd');
  checkpoint.latent.channels = channels;
  checkpoint.latent.height = checkpoint.latent.width = side;
  checkpoint.latent.values.assign(noise.data_ptr<float>(), noise.data_ptr<float>() + noise.numel());
  std::vector<double> ms;
  for (int i = 0; i < 50; ++i) {
    const double begin = Now();
    store.Save(kJobId, checkpoint);
    ms.push_back(Now() - begin);
  }
  Print("save " + std::to_string(channels) + "x" + std::to_string(side) + "x" + std::to_string(side), ms);
}

// What lies between two reports and is not of the step. `hooks` has everything but on_progress.
void Paint(const std::string& what, const ZImagePipeline& pipeline, const RenderParameters& parameters,
           RenderHooks hooks, int pictures) {
  const at::Tensor rows = sampler::InitialNoise(7, 1, 40, pipeline.facts().cap_feat_dim)[0];
  std::vector<double> first, later, steps;
  double last = 0;
  hooks.on_progress = [&](const RenderProgress& progress) {
    const double now = Now();
    if (progress.stage == RenderStage::kStep) {
      (progress.step == 1 ? first : later).push_back(now - last - progress.ms);
      steps.push_back(progress.ms);
    }
    last = Now();
  };
  for (int i = 0; i < pictures; ++i) pipeline.Paint(rows, {}, parameters, hooks, CancelToken());
  Print(what + ": step", steps);
  Print(what + ": besides, first step", first);
  Print(what + ": besides, later steps", later);
}

void CompareTogether(const ZImagePipeline& pipeline, const RenderParameters& parameters, int together, int rounds) {
  std::vector<PaintMember> members;
  for (int i = 0; i < together; ++i) {  // captions of 20, 40, 60... rows
    PaintMember& member = members.emplace_back();
    member.positive = sampler::InitialNoise(static_cast<uint64_t>(i), 1, std::min<int64_t>(20 * (i + 1), 200),
                                            pipeline.facts().cap_feat_dim)[0];
    member.parameters = parameters;
    member.parameters.seed = static_cast<uint64_t>(i);
  }
  const auto paint = [&](const std::vector<PaintMember>& some) {
    pipeline.PaintTogether(some, {.ended = [](size_t, PictureOutcome outcome) { outcome.Take(); }});
  };
  std::vector<double> alone, all;
  for (int round = -1; round < rounds; ++round) {  // the first warms up
    const double begin = Now();
    for (const PaintMember& member : members) paint({member});
    const double middle = Now();
    paint(members);
    if (round < 0) continue;
    alone.push_back(middle - begin);
    all.push_back(Now() - middle);
  }
  Print(std::to_string(together) + " pictures one after another", alone);
  Print(std::to_string(together) + " pictures together", all);
  std::sort(alone.begin(), alone.end());
  std::sort(all.begin(), all.end());
  const double one = alone[alone.size() / 2], batch = all[all.size() / 2];
  std::printf("pictures per second: %.3f alone, %.3f together, %.2f times\n", 1000 * together / one,
              1000 * together / batch, one / batch);
}

}  // namespace
}  // namespace diptych

int main(int argc, char** argv) {
  using namespace diptych;
  auto args = bench::Arguments(argc, argv,
                               {{"model", "models/demo"},
                                {"folder", "/tmp"},
                                {"device", "cpu"},
                                {"threads", "0"},
                                {"width", "128"},
                                {"height", "128"},
                                {"steps", "9"},
                                {"dtype", "auto"},
                                {"together", "0"},
                                {"pictures", "5"}});
  const std::string model = args["model"];
  const ZImagePipeline pipeline({.transformer_path = model + "/transformer",
                                 .vae_path = model + "/vae",
                                 .scheduler_path = model + "/scheduler",
                                 .device = args["device"],
                                 .vae_device = args["device"],
                                 .torch_dtype = args["dtype"],
                                 .threads = std::stoi(args["threads"])});
  const RenderParameters parameters{
      .width = std::stoi(args["width"]), .height = std::stoi(args["height"]), .steps = std::stoi(args["steps"])};
  const int pictures = std::stoi(args["pictures"]);
  if (const int together = std::stoi(args["together"]); together > 0) {
    CompareTogether(pipeline, parameters, together, pictures);
    return 0;
  }
  CheckpointStore store(args["folder"]);
  Save(store, 16, 16);
  Save(store, 16, 128);
  Save(store, 16, 256);
  RenderHooks checkpoints, previews;
  checkpoints.on_latent = [&](const LatentState& latent) {
    store.Save(kJobId, {.determinants = std::string(500, 'd'), .latent = latent, .timings_json = "{}"});
  };
  previews.preview_every = 1;
  previews.on_preview = [](const Picture&, int32_t) {};
  Paint("no hooks", pipeline, parameters, {}, pictures);
  Paint("checkpoint after each step", pipeline, parameters, checkpoints, pictures);
  Paint("preview after each step", pipeline, parameters, previews, pictures);
  store.Remove(kJobId);
}
