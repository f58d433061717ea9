#include "render_node/pipeline/z_image_pipeline.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <sstream>
#include <thread>
#include <utility>

#include "common/concurrency/apart.h"
#include "common/concurrency/physical_cores.h"
#include "common/error/error.h"
#include "common/model_config/model_index.h"
#include "common/model_config/schedule.h"
#include "common/nn/compute.h"
#include "common/nn/pieces.h"
#include "common/weights/checkpoint.h"
#include "common/weights/part_source.h"
#include "common/weights/weight_view.h"
#include "render_node/dit/context_refiner.h"
#include "render_node/dit/dit.h"
#include "render_node/pipeline/latent_preview.h"
#include "render_node/pipeline/load_plan.h"
#include "render_node/sampler/denoise.h"
#include "render_node/sampler/flow_match.h"
#include "render_node/vae/decoder.h"
#include "render_node/vae/encoder.h"
#include "render_node/vae/tiling.h"

namespace diptych {
namespace {

// A default size that this model cannot paint becomes the next smaller one.
void FitDefaultSize(RendererFacts& facts) {
  for (int32_t* side : {&facts.defaults.width, &facts.defaults.height}) {
    if (*side % facts.size_multiple != 0) {
      facts.warnings.push_back("model_index.json: \"diptych\": a side of " + std::to_string(*side) +
                               " is no multiple of " + std::to_string(facts.size_multiple) +
                               "; the next smaller is taken");
    }
    const int32_t most = std::min(*side, facts.max_side);
    *side = std::max(most - most % facts.size_multiple, facts.size_multiple);
  }
}

// Of the file that states it, or else of the weights.
template <typename Config>
Config ConfigOf(const PartSource& part) {
  return part.config_file.empty() ? Config::FromShapes(*part.weights)
                                  : Config::Parse(part.config_text, part.config_file);
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

// "shift 3, guidance 0, latent 16 x 128 x 128, sigmas 1 0.96 ... 0"; of many sigmas the first and the last. `start`:
// how many of them are left out for the source; `resumed`: evaluations that are done. `others` are painted with it.
std::string PlanText(const PaintMember& member, int start, int resumed, const at::Tensor& noise,
                     const std::vector<float>& sigmas, size_t others) {
  const RenderParameters& p = member.parameters;
  constexpr size_t kMostListed = 50;
  std::ostringstream text;
  text << "shift " << p.shift << ", guidance " << p.guidance_scale;
  if (p.guidance_scale > 0)
    text << " (normalization " << p.cfg_normalization << ", truncation " << p.cfg_truncation << ")";
  text << ", latent " << noise.size(0) << " x " << noise.size(1) << " x " << noise.size(2) << ", sigmas";
  const size_t from = static_cast<size_t>(start), end = std::min(sigmas.size(), from + kMostListed);
  for (size_t i = from; i + 1 < end; ++i) text << " " << sigmas[i];
  if (end < sigmas.size()) text << " ...";
  text << " " << sigmas.back();
  if (member.source != nullptr) {
    text << ", from a picture at strength " << p.strength << (member.mask != nullptr ? " with a mask" : "");
    if (member.mask != nullptr && p.soft_mask) text << " of soft edges";
  }
  if (resumed > 0) text << ", resumed after step " << resumed;
  if (others > 0) text << ", together with " << others << " more";
  return text.str();
}

// As 8 bits they would be black, and the picture would look like a result. What is finite is a picture, however far
// out.
void CheckFinite(const at::Tensor& image) {
  const at::Tensor finite = image.isfinite();
  if (finite.all().item<bool>()) return;
  const int64_t all = image.numel(), bad = all - finite.sum().item<int64_t>();
  throw Error(ErrorCode::kInternal, "the VAE gave " + std::to_string(bad) + " of " + std::to_string(all) +
                                        " values that are no numbers: its weights hold some, or scaling_factor or "
                                        "shift_factor of its config.json are too large");
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

at::Tensor ToImage(const Picture& picture) {  // -> [3, H, W] in -1..1
  return vae::FromBytes(at::from_blob(const_cast<uint8_t*>(picture.rgb.data()), {picture.height, picture.width, 3},
                                      at::TensorOptions().dtype(at::kByte)));
}

// How much of each latent pixel, `scale` pixels a side, is repainted: 0 or 1 by the grey at its upper left corner, as
// torch's nearest interpolation takes it, or what the greys are on average.
at::Tensor ToRepaint(const GreyPicture& mask, int64_t scale, bool soft) {  // -> [1, h, w] fp32
  const at::Tensor grey = at::from_blob(const_cast<uint8_t*>(mask.grey.data()), {1, mask.height, mask.width},
                                        at::TensorOptions().dtype(at::kByte));
  if (soft) return at::avg_pool2d(grey.to(at::kFloat) / 255, {scale, scale});
  return grey.slice(1, 0, mask.height, scale).slice(2, 0, mask.width, scale).ge(128).to(at::kFloat);
}

// The encoder, or why there is none.
struct FoundEncoder {
  std::unique_ptr<const vae::Encoder> encoder;
  std::string missing;
};

FoundEncoder FindEncoder(const WeightView& vae_weights, const vae::Config& config) {
  try {
    return {std::make_unique<const vae::Encoder>(vae_weights, config), ""};
  } catch (const Error& error) {  // it paints all the same
    return {nullptr, error.what()};
  }
}

bool HasEncoderWeights(const Checkpoint& vae) {
  return std::any_of(vae.tensors().begin(), vae.tensors().end(),
                     [](const auto& tensor) { return tensor.first.starts_with("encoder."); });
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

TilingRule RuleOf(const ZImageOptions& o, const vae::Tiling& tiling, int64_t scale) {
  TilingRule rule;
  if (o.tiled_vae == "off") return rule;
  rule.tiles = {static_cast<int32_t>(tiling.tile * scale), static_cast<int32_t>(tiling.overlap * scale)};
  rule.beyond = o.tiled_vae == "on" ? rule.tiles.size : std::max(1024, rule.tiles.size);
  return rule;
}

int32_t MaxSide(const dit::Config& config, int64_t scale) {
  return static_cast<int32_t>(std::min<int64_t>(config.max_latent_side() * scale, 16384));
}

PictureMemoryFacts MemoryFactsOf(const dit::Config& config, const vae::Config& vae, at::Device dit_device,
                                 at::Device vae_device) {
  return {.dim = config.dim,
          .ffn_dim = config.ffn_dim(),
          .heads = config.n_heads,
          .caption_rows = 64,
          .pixels_a_token = vae.scale() * dit::kPatch,
          .dit_on_host = dit_device.is_cpu(),
          .vae_on_host = vae_device.is_cpu(),
          .vae_channels = vae.block_out_channels};
}

// Of an encoder on this host; one that is not there is the encoder's to complain about.
WeightNeed EncoderNeed(const ZImageOptions& o) {
  if (!o.encoder_here || o.encoder_path.empty()) return {};
  WeightNeed need;
  try {
    RunApart([&] {  // its files are not read for this model (files_read.h)
      need = NeedOf(*Checkpoint::Open(o.encoder_path, ModelPart::kTextEncoder),
                    o.torch_dtype == "float32" ? Dtype::F32 : Dtype::BF16, {"lm_head."});
    });
  } catch (const Error&) {
  }
  return need;
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
        vae_device(nn::ChooseDevice(o.vae_device)),
        threads(nn::SetThreads(o.threads)),
        transformer(OpenPart(o.transformer_path, ModelPart::kTransformer, o.config_path)),
        vae(OpenPart(o.vae_path, ModelPart::kVae, o.config_path)),
        config(ConfigOf<dit::Config>(transformer)),
        vae_config(ConfigOf<vae::Config>(vae)),
        tiling{o.tile_size / vae_config.scale(), o.tile_overlap / vae_config.scale()},
        plan(Plan(o)),
        dtype(plan.bfloat16 ? at::kBFloat16 : at::kFloat),
        weights(transformer.weights, device, dtype),
        refiner(weights, config),
        dit(weights, config),
        // fp32 whatever the DiT computes in, as the native reference: a bf16 picture cannot be closer than one grey
        // level.
        vae_weights(vae.weights, vae_device, at::kFloat),
        decoder(vae_weights, vae_config),
        found_encoder(FindEncoder(vae_weights, vae_config)),
        preview(static_cast<int32_t>(config.in_channels)) {
    const int64_t scale = decoder.config().scale();
    if (decoder.config().latent_channels != config.in_channels) {
      throw Error(ErrorCode::kFailedPrecondition, "the DiT makes latents of " + std::to_string(config.in_channels) +
                                                      " channels (in_channels), the VAE takes " +
                                                      std::to_string(decoder.config().latent_channels) +
                                                      " (latent_channels)");
    }
    if (tiling.tile < 8 || tiling.overlap < 0 || tiling.overlap >= tiling.tile) {
      throw Error(ErrorCode::kInvalidArgument, "tile size " + std::to_string(o.tile_size) + " with overlap " +
                                                   std::to_string(o.tile_overlap) +
                                                   ": a tile needs at least 8 latent pixels and more than its overlap");
    }
    facts.tiling = RuleOf(o, tiling, scale);
    facts.cap_feat_dim = config.cap_feat_dim;
    facts.row_limit = config.row_limit();
    facts.size_multiple = static_cast<int32_t>(scale * dit::kPatch);
    facts.max_side = MaxSide(config, scale);
    ScheduleFacts noise = ReadSchedule(o.scheduler_path);
    facts.default_shift = noise.shift;
    facts.dynamic_shift = noise.dynamic;
    facts.schedule = noise.schedule;
    ModelIndex index = ReadModelIndex(o.model_path);
    facts.defaults = std::move(index.defaults);
    FitDefaultSize(facts);
    for (const std::vector<std::string>& lines :
         {index.warnings, noise.warnings, config.warnings, decoder.config().warnings}) {
      facts.warnings.insert(facts.warnings.end(), lines.begin(), lines.end());
    }
    facts.dtype = dtype == at::kFloat ? "float32" : "bfloat16";
    facts.device = device.is_cuda() ? "cuda" : "cpu";
    facts.threads = threads;
    StateMemory(o);
    facts.no_encoder = found_encoder.missing;
    if (!facts.no_encoder.empty() && HasEncoderWeights(*vae.weights)) {
      facts.warnings.push_back("the encoder of the VAE cannot be used, so no picture can begin as another one: " +
                               facts.no_encoder);
    }
    for (std::string line : {weights.UnusedWarning({}), facts.no_encoder.empty()
                                                            ? vae_weights.UnusedWarning({"quant_conv."})
                                                            : vae_weights.UnusedWarning({"encoder.", "quant_conv."})}) {
      if (!line.empty()) facts.warnings.push_back(std::move(line));
    }
    for (const PartSource* source : {&transformer, &vae}) {
      facts.notes.insert(facts.notes.end(), source->notes.begin(), source->notes.end());
      const std::vector<std::string>& more = source->weights->warnings();
      facts.warnings.insert(facts.warnings.end(), more.begin(), more.end());
    }
  }

  LoadPlan Plan(const ZImageOptions& o) const {
    const bool asks = !o.ignore_memory;
    nn::ChooseDtype(o.torch_dtype, device, at::kFloat);  // refuses other words
    return PlanLoad({.transformer = *transformer.weights,
                     .vae = *vae.weights,
                     .vae_encodes = vae_config.no_encoder.empty(),
                     .torch_dtype = o.torch_dtype,
                     .dit_on_gpu = device.is_cuda(),
                     .vae_on_gpu = vae_device.is_cuda(),
                     .picture = MemoryFactsOf(config, vae_config, device, vae_device),
                     .tiling = RuleOf(o, tiling, vae_config.scale()),
                     .max_side = MaxSide(config, vae_config.scale()),
                     .encoder = EncoderNeed(o),
                     .host = asks ? RoomNow(o.read_memory()) : std::nullopt,
                     .gpu = asks ? nn::GpuRoom(device.is_cuda() ? device : vae_device) : std::nullopt});
  }

  void StateMemory(const ZImageOptions& o) {
    facts.notes = plan.notes;
    facts.warnings.insert(facts.warnings.end(), plan.warnings.begin(), plan.warnings.end());
    facts.picture_memory = MemoryFactsOf(config, vae_config, device, vae_device);
    facts.picture_memory.element = static_cast<int64_t>(at::elementSize(dtype));
    if (!o.ignore_memory) facts.room = RoomAtMost(o.read_memory());
    if (facts.room) facts.room->bytes -= std::min(facts.room->bytes, plan.weights.copied);
    facts.machine = nn::DescribeMachinery(device.is_cuda() ? device : vae_device);
    facts.machine.weights_copied = plan.weights.copied;
    facts.machine.weights_mapped = plan.weights.mapped;
    const int32_t side = std::min(1024, facts.max_side);
    facts.machine.work = facts.PictureNeed(side, side);
    read_memory = o.ignore_memory ? nullptr : o.read_memory;
    memory_patience = o.memory_patience;
  }

  void TakeThreadsToStep(const std::vector<PaintMember>& members) const {
    const RenderParameters& p = members[0].parameters;
    const int64_t side = vae_config.scale() * dit::kPatch;
    int64_t tokens = 0;
    for (const PaintMember& member : members) {
      tokens += p.width / side * (p.height / side) + (member.positive.defined() ? member.positive.size(0) : 0);
    }
    nn::SetThreads(ThreadsWorthwhile(config.block_flop(tokens), threads));
  }

  // By the stage at the picture's own size, whose convolutions take the most.
  void TakeThreadsToDecode(const RenderParameters& p) const {
    const DecodeTiles tiles = facts.tiling.For(p.width, p.height);
    const double width = tiles.size > 0 ? tiles.size : p.width, height = tiles.size > 0 ? tiles.size : p.height;
    const double channels = static_cast<double>(vae_config.block_out_channels.front());
    nn::SetThreads(ThreadsWorthwhile(2 * 9 * channels * channels * width * height, threads));
  }

  const at::Device device;
  const at::Device vae_device;
  const int threads;
  const PartSource transformer, vae;
  const dit::Config config;
  const vae::Config vae_config;
  const vae::Tiling tiling;
  const LoadPlan plan;
  const at::ScalarType dtype;
  const WeightView weights;
  const dit::ContextRefiner refiner;
  const dit::Dit dit;
  const WeightView vae_weights;
  const vae::Decoder decoder;
  const FoundEncoder found_encoder;
  mutable LatentPreview preview;  // learns from every picture that is watched
  RendererFacts facts;
  std::function<MemoryFacts()> read_memory;  // empty: nobody asks
  std::chrono::milliseconds memory_patience{0};
};

ZImagePipeline::ZImagePipeline(const ZImageOptions& options) : models_(std::make_unique<const Models>(options)) {}
ZImagePipeline::~ZImagePipeline() = default;

const RendererFacts& ZImagePipeline::facts() const { return models_->facts; }
const PartSource& ZImagePipeline::transformer() const { return models_->transformer; }
const PartSource& ZImagePipeline::vae() const { return models_->vae; }
std::string ZImagePipeline::TransformerIdentity() const { return models_->config.Identity(); }
std::string ZImagePipeline::VaeIdentity() const { return models_->decoder.config().Identity(); }

// One picture on its way: all of it but the steps, which pictures take together.
class ZImagePipeline::Work {
 public:
  // Refines the captions and encodes the source. Throws as PictureRenderer::Render; `models` and `member` outlive it.
  // `others`: how many are painted with it.
  Work(const Models& models, const PaintMember& member, size_t others)
      : m_(models),
        member_(Checked(member, models.facts)),
        evaluations_(Evaluations(member.parameters, member.source != nullptr)) {
    const RenderParameters& p = member.parameters;
    const RenderHooks& hooks = member.hooks;
    const nn::PauseScope scope(leave_if_cancelled_);
    if (p.guidance_scale > 0 && !member.negative.defined()) {
      throw Error(ErrorCode::kInvalidArgument, "guidance_scale above 0 needs negative conditioning");
    }
    const int64_t scale = m_.decoder.config().scale(), channels = m_.config.in_channels;
    const int64_t h = p.height / scale, w = p.width / scale;
    if (hooks.resume != nullptr) {
      CheckResume(*hooks.resume, static_cast<int32_t>(channels), static_cast<int32_t>(h), static_cast<int32_t>(w),
                  evaluations_);
    }
    const int resumed = hooks.resume == nullptr ? 0 : hooks.resume->step;
    const auto canvas_of = [&](const at::Tensor& rows) {
      return m_.dit.Prepare(h, w, m_.refiner.Refine(rows.to(m_.device)));
    };
    Lap lap;
    if (resumed < evaluations_) {
      positive_ = canvas_of(member.positive);
      if (p.guidance_scale > 0) negative_ = canvas_of(member.negative);
    }
    const std::vector<float> sigmas = sampler::FlowMatchSigmas(p.steps, p.shift, m_.facts.schedule);
    steps_.first = p.steps - evaluations_;
    steps_.step = resumed;
    if (hooks.resume != nullptr) steps_.latent = ToTensor(*hooks.resume);
    if (member.source == nullptr) {
      if (hooks.resume == nullptr) steps_.latent = sampler::InitialNoise(p.seed, channels, h, w);
    } else if (hooks.resume == nullptr || (member.mask != nullptr && resumed < evaluations_)) {
      BeginAsTheSource(sigmas[steps_.first]);
    }
    Report({.stage = RenderStage::kRefined,
            .step = resumed,
            .sigma = sigmas[steps_.level()],
            .ms = lap.Take(),
            .plan = PlanText(member, steps_.first, resumed, steps_.latent, sigmas, others)});
    steps_.latent = steps_.latent.to(m_.device);
    steps_.guidance = {.scale = p.guidance_scale, .normalization = p.cfg_normalization, .truncation = p.cfg_truncation};
    steps_.cancel = member.cancel;
  }

  // For the sampler; the observer points to this object.
  sampler::Member Steps() {
    sampler::Member steps = steps_;
    steps.observe = [this](const sampler::FinishedStep& done) { Finished(done); };
    return steps;
  }
  const dit::Canvas* positive() const { return positive_.get(); }
  const dit::Canvas* negative() const { return negative_.get(); }

  // latent [C, h, w] after the last step.
  Picture Decode(const at::Tensor& latent) {
    const RenderParameters& p = member_.parameters;
    const nn::PauseScope scope(leave_if_cancelled_);
    Lap lap;
    if (!latent.isfinite().all().item<bool>()) {
      throw Error(ErrorCode::kInternal,
                  "the latent has values that are no numbers: the weights hold some, or guidance scale or shift "
                  "are too large for " +
                      m_.facts.dtype);
    }
    m_.TakeThreadsToDecode(p);
    const at::Tensor z = m_.decoder.Unscale(latent.to(m_.vae_device));
    const auto decode = [&](const at::Tensor& tile) { return m_.decoder.Decode(tile); };
    member_.cancel.ThrowIfCancelled();
    const bool in_tiles = m_.facts.tiling.For(p.width, p.height).size > 0;
    const auto on_tile = [&](int64_t done, int64_t tiles) {
      Report({.stage = RenderStage::kTile,
              .step = evaluations_,
              .tile = static_cast<int32_t>(done),
              .tiles = static_cast<int32_t>(tiles)});
    };
    const at::Tensor image =
        in_tiles ? vae::DecodeTiled(z, m_.decoder.config().scale(), m_.tiling, decode, member_.cancel, on_tile)
                 : decode(z);
    CheckFinite(image);
    Picture picture = ToPicture(image);
    Report({.stage = RenderStage::kDecoded, .step = evaluations_, .ms = lap.Take()});
    if (seen_) m_.preview.Learn(ToState(evaluations_, latent), picture);
    return picture;
  }

 private:
  static const PaintMember& Checked(const PaintMember& member, const RendererFacts& facts) {
    CheckRenderParameters(member.parameters, facts);
    CheckSource(member.parameters, member.source, member.mask, facts);
    return member;
  }

  // moments [2 C, h, w] of the source, fp32 on the CPU.
  at::Tensor Encode() const {
    const RenderParameters& p = member_.parameters;
    m_.TakeThreadsToDecode(p);
    const at::Tensor image = ToImage(*member_.source).to(m_.vae_device);
    const auto encode = [&](const at::Tensor& tile) { return m_.found_encoder.encoder->Encode(tile); };
    member_.cancel.ThrowIfCancelled();
    const bool in_tiles = m_.facts.tiling.For(p.width, p.height).size > 0;
    return (in_tiles ? vae::EncodeTiled(image, m_.vae_config.scale(), m_.tiling, encode, member_.cancel)
                     : encode(image))
        .to(at::kCPU);
  }

  // The source's latent, and noise over it up to `sigma`, unless the picture is resumed. Drawn from one generator,
  // first what the encoder leaves open, and in the dtype of the DiT, as diffusers' pipeline that was loaded in it.
  void BeginAsTheSource(float sigma) {
    const RenderParameters& p = member_.parameters;
    const vae::Posterior posterior(Encode().to(m_.dtype));
    const int64_t channels = posterior.mean.size(0), h = posterior.mean.size(1), w = posterior.mean.size(2);
    at::Generator generator = at::detail::createCPUGenerator(p.seed);
    const at::Tensor open = sampler::DrawNoise(generator, channels, h, w, m_.dtype);
    const at::Tensor clean = vae::Scale(posterior.Sample(open), m_.vae_config);
    const at::Tensor noise = sampler::DrawNoise(generator, channels, h, w, m_.dtype);
    if (!steps_.latent.defined()) {
      steps_.latent = (evaluations_ == 0 ? clean : sampler::Noised(clean, noise, sigma)).to(at::kFloat);
    }
    if (member_.mask == nullptr) return;
    const at::Tensor repaint = ToRepaint(*member_.mask, m_.vae_config.scale(), p.soft_mask);
    steps_.kept = {clean.to(m_.device), noise.to(m_.device), repaint.to(m_.device)};
  }

  void Report(RenderProgress progress) const {
    progress.steps = evaluations_;
    if (member_.hooks.on_progress) member_.hooks.on_progress(progress);
  }

  void Finished(const sampler::FinishedStep& done) {
    if (member_.hooks.on_latent) member_.hooks.on_latent(ToState(done.step, done.latent));
    Show(done);
    Report({.stage = RenderStage::kStep,
            .step = done.step,
            .sigma = done.sigma,
            .ms = done.ms,
            .together = static_cast<int32_t>(done.together)});
  }

  void Show(const sampler::FinishedStep& done) {
    const RenderHooks& hooks = member_.hooks;
    if (!hooks.on_preview || hooks.preview_every <= 0) return;
    if (done.step % hooks.preview_every != 0 || done.step == evaluations_) return;
    if (hooks.wants_preview && !hooks.wants_preview()) return;
    // Not the latent, which is mostly noise at first, but what it seems to become.
    const nn::PauseScope scope(leave_if_cancelled_);
    const at::Tensor clean = done.latent + done.output * done.sigma;
    if (!std::exchange(seen_, true)) {  // the true decoder on a small copy tells the map which colours this picture has
      const at::Tensor small = Shrink(clean);
      const at::Tensor image = m_.decoder.Decode(m_.decoder.Unscale(small.to(m_.vae_device)));
      m_.preview.Learn(ToState(done.step, small), ToPicture(image));
    }
    hooks.on_preview(m_.preview.Show(ToState(done.step, clean)), done.step);
  }

  const Models& m_;
  const PaintMember& member_;
  const int evaluations_;
  const Pause leave_if_cancelled_ = LeaveIfCancelled(member_.cancel);
  std::shared_ptr<const dit::Canvas> positive_, negative_;
  sampler::Member steps_;  // as they begin
  bool seen_ = false;
};

namespace {

constexpr std::chrono::milliseconds kMemoryPoll(200);

bool AllCancelled(const std::vector<PaintMember>& members) {
  return std::all_of(members.begin(), members.end(), [](const PaintMember& m) { return m.cancel.IsCancelled(); });
}

}  // namespace

// Returns when there is room, or nobody waits for it any more. Throws Error(kResourceExhausted) with both numbers.
void ZImagePipeline::AwaitRoom(const std::vector<PaintMember>& members, uint64_t need) const {
  if (!models_->read_memory) return;
  const auto end = std::chrono::steady_clock::now() + models_->memory_patience;
  for (;;) {
    const std::optional<MemoryRoom> room = RoomNow(models_->read_memory());
    if (!room || need <= room->bytes || AllCancelled(members)) return;
    if (std::chrono::steady_clock::now() >= end) {
      const RenderParameters& p = members[0].parameters;
      throw Error(ErrorCode::kResourceExhausted, "a picture of " + std::to_string(p.width) + "x" +
                                                     std::to_string(p.height) + " needs about " + BytesText(need) +
                                                     " of memory, and no more than " + RoomText(*room) +
                                                     " came free; end other programs, or paint a smaller one");
    }
    std::this_thread::sleep_for(kMemoryPoll);
  }
}

void ZImagePipeline::PaintTogether(const std::vector<PaintMember>& members, const BatchEvents& events) const {
  for (const PaintMember& member : members) {
    if (CanPaintTogether(member.parameters, members[0].parameters)) continue;
    throw Error(ErrorCode::kInvalidArgument,
                "pictures of another size, other steps, another shift or without guidance cannot be painted together");
  }
  const at::InferenceMode no_gradients;
  if (members.empty()) return;
  models_->TakeThreadsToStep(members);
  try {
    const RenderParameters& p = members[0].parameters;
    AwaitRoom(members, models_->facts.PictureNeed(p.width, p.height));
  } catch (const Error&) {
    for (size_t i = 0; i < members.size(); ++i) events.ended(i, {{}, std::current_exception()});
    return;
  }

  std::vector<std::unique_ptr<Work>> works;  // without those that have ended
  std::vector<sampler::Member> steps;
  std::vector<size_t> member_of;  // of each work
  for (size_t i = 0; i < members.size(); ++i) {
    if (i > 0) models_->TakeThreadsToStep(members);  // encoding takes others
    try {
      works.push_back(std::make_unique<Work>(*models_, members[i], members.size() - 1));
    } catch (...) {
      events.ended(i, {{}, std::current_exception()});
      continue;
    }
    steps.push_back(works.back()->Steps());
    member_of.push_back(i);
  }
  if (works.empty()) return;
  models_->TakeThreadsToStep(members);

  const auto network = [&](const dit::Canvas* (Work::*canvas)() const) {
    return [&, canvas](const std::vector<size_t>& group, const std::vector<at::Tensor>& latents, double t) {
      std::vector<const dit::Canvas*> canvases;
      for (const size_t i : group) canvases.push_back((*works[i].*canvas)());
      // A step takes seconds on a CPU, or hours: it ends between two pieces once nobody wants it any more.
      const Pause leave_if_cancelled = [&] {
        for (const size_t i : group) {
          if (!steps[i].cancel.IsCancelled()) return;
        }
        steps[group[0]].cancel.ThrowIfCancelled();
      };
      const nn::PauseScope scope(leave_if_cancelled);
      return models_->dit.Velocities(latents, t, canvases);
    };
  };
  const auto left = [&](size_t i, std::exception_ptr why) {
    works[i].reset();
    events.ended(member_of[i], {{}, std::move(why)});
  };
  const RenderParameters& p = members[member_of[0]].parameters;
  sampler::Denoise(steps, sampler::FlowMatchSigmas(p.steps, p.shift, models_->facts.schedule), network(&Work::positive),
                   network(&Work::negative), {.left = left, .parted = events.parted});

  for (size_t i = 0; i < works.size(); ++i) {
    if (!works[i]) continue;
    PictureOutcome outcome;
    try {
      outcome.picture = works[i]->Decode(steps[i].latent);
    } catch (...) {
      outcome.failure = std::current_exception();
    }
    works[i].reset();
    events.ended(member_of[i], std::move(outcome));
  }
}

Picture ZImagePipeline::Paint(const PaintMember& member) const {
  PictureOutcome found;
  PaintTogether({member}, {.ended = [&](size_t, PictureOutcome outcome) { found = std::move(outcome); }});
  return found.Take();
}

Picture ZImagePipeline::Paint(const at::Tensor& positive, const at::Tensor& negative,
                              const RenderParameters& parameters, const RenderHooks& hooks,
                              const CancelToken& cancel) const {
  return Paint({positive, negative, parameters, nullptr, nullptr, hooks, cancel});
}

}  // namespace diptych
