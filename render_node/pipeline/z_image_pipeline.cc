#include "render_node/pipeline/z_image_pipeline.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <utility>

#include "common/error/error.h"
#include "common/model_config/json_facts.h"
#include "common/nn/compute.h"
#include "common/weights/checkpoint.h"
#include "common/weights/weight_view.h"
#include "render_node/dit/context_refiner.h"
#include "render_node/dit/dit.h"
#include "render_node/pipeline/latent_preview.h"
#include "render_node/sampler/denoise.h"
#include "render_node/sampler/flow_match.h"
#include "render_node/vae/tiling.h"
#include "render_node/vae/vae.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

double DefaultShift(const std::string& scheduler_path) {
  const std::string file = (fs::path(scheduler_path) / "scheduler_config.json").string();
  if (!fs::exists(file)) return 3.0;  // what Z-Image-Turbo uses
  const double shift = JsonFacts(ReadTextFile(file), file).Number("shift", 3.0);
  if (!(shift > 0)) throw Error(ErrorCode::kInvalidArgument, file + ": \"shift\" must be above 0");
  return shift;
}

// Milliseconds since the last call (or construction).
class Lap {
 public:
  double Take() {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - begin_).count();
    begin_ = now;
    return ms;
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// "shift 3, guidance 0, latent 16 x 128 x 128, sigmas 1 0.96 ... 0"; of many sigmas the first and the last.
std::string PlanText(const RenderParameters& p, int first, const at::Tensor& noise, const std::vector<float>& sigmas) {
  constexpr size_t kMostListed = 50;
  std::ostringstream text;
  text << "shift " << p.shift << ", guidance " << p.guidance_scale;
  if (p.guidance_scale > 0)
    text << " (normalization " << p.cfg_normalization << ", truncation " << p.cfg_truncation << ")";
  text << ", latent " << noise.size(0) << " x " << noise.size(1) << " x " << noise.size(2) << ", sigmas";
  for (size_t i = 0; i + 1 < std::min(sigmas.size(), kMostListed); ++i) text << " " << sigmas[i];
  if (sigmas.size() > kMostListed) text << " ...";
  text << " " << sigmas.back();
  if (first > 0) text << ", resumed after step " << first;
  return text.str();
}

Picture ToPicture(const at::Tensor& image) {  // [3, H, W] in -1..1
  const at::Tensor bytes = vae::ToBytes(image);
  Picture picture;
  picture.height = static_cast<int32_t>(bytes.size(0));
  picture.width = static_cast<int32_t>(bytes.size(1));
  const uint8_t* begin = bytes.data_ptr<uint8_t>();
  picture.rgb.assign(begin, begin + bytes.numel());
  return picture;
}

LatentState ToState(int step, const at::Tensor& latent) {  // [C, h, w] fp32
  const at::Tensor values = latent.to(at::kCPU).contiguous();
  LatentState state{.step = step,
                    .channels = static_cast<int32_t>(values.size(0)),
                    .height = static_cast<int32_t>(values.size(1)),
                    .width = static_cast<int32_t>(values.size(2))};
  const float* begin = values.data_ptr<float>();
  state.values.assign(begin, begin + values.numel());
  return state;
}

at::Tensor ToTensor(const LatentState& state) {  // [C, h, w] fp32, a copy
  const at::TensorOptions fp32 = at::TensorOptions().dtype(at::kFloat);
  const int64_t shape[] = {state.channels, state.height, state.width};
  return at::from_blob(const_cast<float*>(state.values.data()), shape, fp32).clone();
}

// At most 16 latent pixels a side, by means.
at::Tensor Shrink(const at::Tensor& latent) {  // [C, h, w]
  constexpr int64_t kSide = 16;
  const int64_t h = latent.size(1), w = latent.size(2), by = (std::max(h, w) + kSide - 1) / kSide;
  return by == 1 ? latent : at::adaptive_avg_pool2d(latent.unsqueeze(0), {(h + by - 1) / by, (w + by - 1) / by})[0];
}

}  // namespace

struct ZImagePipeline::Models {
  explicit Models(const ZImageOptions& o)
      : device(nn::ChooseDevice(o.device)),
        dtype(nn::ChooseDtype(o.torch_dtype, device, at::kFloat)),
        vae_device(nn::ChooseDevice(o.vae_device)),
        threads(nn::SetThreads(o.threads)),
        config(dit::Config::Parse(ReadTextFile(ConfigFileOf(o.transformer_path)), ConfigFileOf(o.transformer_path))),
        weights(Checkpoint::Open(o.transformer_path), device, dtype),
        refiner(weights, config),
        dit(weights, config),
        // fp32 whatever the DiT computes in, as the native reference: a bf16 picture cannot be closer than one grey
        // level.
        vae_weights(Checkpoint::Open(o.vae_path), vae_device, at::kFloat),
        decoder(vae_weights, vae::Config::Parse(ReadTextFile(ConfigFileOf(o.vae_path)), ConfigFileOf(o.vae_path))),
        preview(static_cast<int32_t>(config.in_channels)) {
    const int64_t scale = decoder.config().scale();
    if (decoder.config().latent_channels != config.in_channels) {
      throw Error(ErrorCode::kFailedPrecondition, "the DiT makes latents of " + std::to_string(config.in_channels) +
                                                      " channels (in_channels), the VAE takes " +
                                                      std::to_string(decoder.config().latent_channels) +
                                                      " (latent_channels)");
    }
    tiling = {o.tile_size / scale, o.tile_overlap / scale};
    if (tiling.tile < 8 || tiling.overlap < 0 || tiling.overlap >= tiling.tile) {
      throw Error(ErrorCode::kInvalidArgument, "tile size " + std::to_string(o.tile_size) + " with overlap " +
                                                   std::to_string(o.tile_overlap) +
                                                   ": a tile needs at least 8 latent pixels and more than its overlap");
    }
    if (o.tiled_vae != "off") {
      facts.tiling.tiles = {static_cast<int32_t>(tiling.tile * scale), static_cast<int32_t>(tiling.overlap * scale)};
      facts.tiling.beyond = o.tiled_vae == "on" ? facts.tiling.tiles.size : std::max(1024, facts.tiling.tiles.size);
    }
    facts.cap_feat_dim = config.cap_feat_dim;
    facts.row_limit = config.row_limit();
    facts.size_multiple = static_cast<int32_t>(scale * dit::kPatch);
    facts.max_side = static_cast<int32_t>(std::min<int64_t>(config.max_latent_side() * scale, 16384));
    facts.default_shift = DefaultShift(o.scheduler_path);
    facts.dtype = dtype == at::kFloat ? "float32" : "bfloat16";
    facts.device = device.is_cuda() ? "cuda" : "cpu";
    facts.threads = threads;
    for (std::string line : {weights.UnusedWarning({}), vae_weights.UnusedWarning({"encoder.", "quant_conv."})}) {
      if (!line.empty()) facts.warnings.push_back(std::move(line));
    }
  }

  const at::Device device;
  const at::ScalarType dtype;
  const at::Device vae_device;
  const int threads;
  const dit::Config config;
  const WeightView weights;
  const dit::ContextRefiner refiner;
  const dit::Dit dit;
  const WeightView vae_weights;
  const vae::Decoder decoder;
  mutable LatentPreview preview;  // learns from every picture that is watched
  vae::Tiling tiling;
  RendererFacts facts;
};

ZImagePipeline::ZImagePipeline(const ZImageOptions& options) : models_(std::make_unique<const Models>(options)) {}
ZImagePipeline::~ZImagePipeline() = default;

const RendererFacts& ZImagePipeline::facts() const { return models_->facts; }

Picture ZImagePipeline::Paint(const at::Tensor& positive, const at::Tensor& negative,
                              const RenderParameters& parameters, const RenderHooks& hooks,
                              const CancelToken& cancel) const {
  const Models& m = *models_;
  CheckRenderParameters(parameters, m.facts);
  if (parameters.guidance_scale > 0 && !negative.defined()) {
    throw Error(ErrorCode::kInvalidArgument, "guidance_scale above 0 needs negative conditioning");
  }
  const int64_t scale = m.decoder.config().scale(), channels = m.config.in_channels;
  const int64_t h = parameters.height / scale, w = parameters.width / scale;
  if (hooks.resume != nullptr) {
    CheckResume(*hooks.resume, static_cast<int32_t>(channels), static_cast<int32_t>(h), static_cast<int32_t>(w),
                parameters.steps);
  }
  const at::InferenceMode no_gradients;
  nn::SetThreads(m.threads);
  Lap lap;
  const auto report = [&](RenderStage stage, int step, double sigma, double ms, std::string plan = {}) {
    if (!hooks.on_progress) return;
    hooks.on_progress(
        {.stage = stage, .step = step, .steps = parameters.steps, .sigma = sigma, .ms = ms, .plan = std::move(plan)});
  };
  // A step or a decoder takes seconds on a CPU: a cancelled picture ends between two of their blocks.
  const Tap leave_if_cancelled = [&](std::string_view, const at::Tensor&) { cancel.ThrowIfCancelled(); };

  const int first = hooks.resume == nullptr ? 0 : hooks.resume->step;
  const bool denoises = first < parameters.steps;
  const auto canvas_of = [&](const at::Tensor& rows) {
    return m.dit.Prepare(h, w, m.refiner.Refine(rows.to(m.device)));
  };
  const auto positive_canvas = denoises ? canvas_of(positive) : nullptr;
  const auto negative_canvas = denoises && parameters.guidance_scale > 0 ? canvas_of(negative) : nullptr;
  const at::Tensor start =
      hooks.resume == nullptr ? sampler::InitialNoise(parameters.seed, channels, h, w) : ToTensor(*hooks.resume);
  const std::vector<float> sigmas = sampler::FlowMatchSigmas(parameters.steps, parameters.shift);
  report(RenderStage::kRefined, first, sigmas[first], lap.Take(), PlanText(parameters, first, start, sigmas));

  const bool previews = hooks.on_preview && hooks.preview_every > 0;
  bool seen = false;
  const auto show = [&](const sampler::FinishedStep& done) {
    if (!previews || done.step % hooks.preview_every != 0 || done.step == parameters.steps) return;
    if (hooks.wants_preview && !hooks.wants_preview()) return;
    // Not the latent, which is mostly noise at first, but what it seems to become.
    const at::Tensor clean = done.latent + done.output * done.sigma;
    if (!std::exchange(seen, true)) {  // the true decoder on a small copy tells the map which colours this picture has
      const at::Tensor small = Shrink(clean);
      const at::Tensor image = m.decoder.Decode(m.decoder.Unscale(small.to(m.vae_device)), leave_if_cancelled);
      m.preview.Learn(ToState(done.step, small), ToPicture(image));
    }
    hooks.on_preview(m.preview.Show(ToState(done.step, clean)), done.step);
  };
  const sampler::Guidance guidance{.scale = parameters.guidance_scale,
                                   .normalization = parameters.cfg_normalization,
                                   .truncation = parameters.cfg_truncation};
  const auto network = [&](const dit::Canvas* canvas) {
    return [&m, &leave_if_cancelled, canvas](const at::Tensor& x, double t) {
      return m.dit.Velocity(x, t, *canvas, leave_if_cancelled);
    };
  };
  const at::Tensor latent =
      sampler::Denoise(start.to(m.device), sigmas, first, network(positive_canvas.get()),
                       network(negative_canvas.get()), guidance, cancel, [&](const sampler::FinishedStep& done) {
                         if (done.latent.is_cuda())
                           done.latent.sum().item();  // wait for the GPU, so that the time is this step's
                         const double ms = lap.Take();
                         if (hooks.on_latent) hooks.on_latent(ToState(done.step, done.latent));
                         show(done);
                         lap.Take();
                         report(RenderStage::kStep, done.step, done.sigma, ms);
                       });

  const at::Tensor z = m.decoder.Unscale(latent.to(m.vae_device));
  const auto decode = [&](const at::Tensor& tile) { return m.decoder.Decode(tile, leave_if_cancelled); };
  cancel.ThrowIfCancelled();
  const bool in_tiles = m.facts.tiling.For(parameters.width, parameters.height).size > 0;
  const at::Tensor image = in_tiles ? vae::DecodeTiled(z, scale, m.tiling, decode, cancel) : decode(z);
  Picture picture = ToPicture(image);
  report(RenderStage::kDecoded, parameters.steps, 0, lap.Take());
  if (seen) m.preview.Learn(ToState(parameters.steps, latent), picture);
  return picture;
}

}  // namespace diptych
