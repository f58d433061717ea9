#include "render_node/pipeline/z_image_renderer.h"

#include <ATen/ATen.h>

#include <mutex>
#include <string>

#include "common/conditioning/long_prompt.h"
#include "common/model_config/json_facts.h"
#include "common/weights/checkpoint.h"
#include "common/weights/fingerprint.h"
#include "render_node/pipeline/z_image_pipeline.h"

namespace diptych {
namespace {

std::string FingerprintOf(const std::string& path, int threads) {
  return CheckpointFingerprint(*Checkpoint::Open(path), ReadTextFile(ConfigFileOf(path)), threads);
}

class ZImageRenderer : public PictureRenderer {
 public:
  explicit ZImageRenderer(const ZImageOptions& options) : pipeline_(options), facts_(pipeline_.facts()) {
    facts_.transformer_fingerprint = FingerprintOf(options.transformer_path, facts_.threads);
    facts_.vae_fingerprint = FingerprintOf(options.vae_path, facts_.threads);
  }

  const RendererFacts& facts() const override { return facts_; }

  Picture Render(const Conditioning& positive, const Conditioning* negative, const RenderParameters& parameters,
                 const RenderHooks& hooks, const CancelToken& cancel) override {
    PictureOutcome found;
    RenderTogether({{positive, negative, parameters, hooks, cancel}},
                   {.ended = [&](size_t, PictureOutcome outcome) { found = std::move(outcome); }});
    return found.Take();
  }

  void RenderTogether(const std::vector<BatchMember>& members, const BatchEvents& events) override {
    std::vector<PaintMember> sound;
    std::vector<size_t> member_of;  // of each of them
    for (size_t i = 0; i < members.size(); ++i) {
      const BatchMember& member = members[i];
      try {
        CheckRenderParameters(member.parameters, facts_);
        const at::Tensor negative = member.negative == nullptr ? at::Tensor() : Rows(*member.negative);
        sound.push_back({Rows(member.positive), negative, member.parameters, member.hooks, member.cancel});
      } catch (...) {
        events.ended(i, {{}, std::current_exception()});
        continue;
      }
      member_of.push_back(i);
    }
    const std::lock_guard one_at_a_time(mutex_);
    pipeline_.PaintTogether(
        sound, {.ended = [&](size_t i, PictureOutcome outcome) { events.ended(member_of[i], std::move(outcome)); },
                .parted = events.parted});
  }

 private:
  // [rows, width], no more rows than the DiT takes; may point into `conditioning`, which outlives the call.
  at::Tensor Rows(const Conditioning& conditioning) const {
    CheckConditioning(conditioning);
    CheckConditioningFits(conditioning.header, facts_);
    const at::ScalarType dtype = conditioning.header.dtype == StateDtype::kFloat32 ? at::kFloat : at::kBFloat16;
    const at::Tensor rows =
        at::from_blob(const_cast<uint8_t*>(conditioning.bytes.data()),
                      {conditioning.header.rows, conditioning.header.width}, at::TensorOptions().dtype(dtype));
    return FitRows(rows, facts_.row_limit, conditioning.header.long_prompt_mode);
  }

  const ZImagePipeline pipeline_;
  RendererFacts facts_;
  std::mutex mutex_;  // one picture or batch at a time: it uses all cores already
};

}  // namespace

std::unique_ptr<PictureRenderer> LoadZImageRenderer(const ZImageOptions& options) {
  return std::make_unique<ZImageRenderer>(options);
}

}  // namespace diptych
