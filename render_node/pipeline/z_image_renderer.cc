#include "render_node/pipeline/z_image_renderer.h"

#include <ATen/ATen.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/concurrency/apart.h"
#include "common/conditioning/long_prompt.h"
#include "common/error/error.h"
#include "common/source_files/files_read.h"
#include "common/source_files/model_folder.h"
#include "common/weights/checkpoint.h"
#include "common/weights/fingerprint.h"
#include "common/weights/model_files.h"
#include "common/weights/part_source.h"
#include "render_node/pipeline/z_image_pipeline.h"

namespace diptych {
namespace {

class ZImageRenderer : public PictureRenderer {
 public:
  explicit ZImageRenderer(const ZImageOptions& options) : pipeline_(options), facts_(pipeline_.facts()) {
    const FingerprintCache cache(options.fingerprint_cache);
    facts_.transformer_fingerprint = Register(pipeline_.transformer(), pipeline_.TransformerIdentity(), cache);
    facts_.vae_fingerprint = Register(pipeline_.vae(), pipeline_.VaeIdentity(), cache);
  }

  void AddRead(const std::vector<FileRead>& files) { files_.AddRead(files); }

  const RendererFacts& facts() const override { return facts_; }
  void ThrowIfChanged() override { files_.ThrowIfChanged(); }
  ModelNews LookAtFiles() override { return files_.Look(); }

  Picture Render(const RenderRequest& request) override {
    PictureOutcome found;
    RenderTogether({request}, {.ended = [&](size_t, PictureOutcome outcome) { found = std::move(outcome); }});
    return found.Take();
  }

  void RenderTogether(const std::vector<RenderRequest>& members, const BatchEvents& events) override {
    std::vector<PaintMember> sound;
    std::vector<size_t> member_of;  // of each of them
    for (size_t i = 0; i < members.size(); ++i) {
      const RenderRequest& member = members[i];
      try {
        CheckRenderParameters(member.parameters, facts_);
        const at::Tensor negative = member.negative == nullptr ? at::Tensor() : Rows(*member.negative);
        sound.push_back({Rows(member.positive), negative, member.parameters, member.source, member.mask,
                         Checked(member.hooks), member.cancel});
      } catch (...) {
        events.ended(i, {{}, std::current_exception()});
        continue;
      }
      member_of.push_back(i);
    }
    const std::lock_guard one_at_a_time(mutex_);
    files_.ThrowIfChanged();
    const auto ended = [&](size_t i, PictureOutcome outcome) {
      try {
        if (!outcome.failure) files_.ThrowIfChanged();
      } catch (...) {
        outcome = {{}, std::current_exception()};
      }
      events.ended(member_of[i], std::move(outcome));
    };
    pipeline_.PaintTogether(sound, {.ended = ended, .parted = events.parted});
  }

 private:
  // `identity` is that of its configuration.
  std::string Register(const PartSource& source, const std::string& identity, const FingerprintCache& cache) {
    std::vector<std::string> hashes;
    FingerprintWork work;
    std::string fingerprint = CheckpointFingerprint(*source.weights, identity, facts_.threads, &hashes, &cache, &work);
    facts_.notes.push_back(work.Line(source.weights->path()));
    files_.AddWeights(source.weights, std::move(hashes));
    return fingerprint;
  }

  // Nobody is shown, and nobody stores, what other weights made.
  RenderHooks Checked(RenderHooks hooks) {
    if (!hooks.on_latent) return hooks;
    hooks.on_latent = [this, store = std::move(hooks.on_latent)](const LatentState& latent) {
      files_.ThrowIfChanged();
      store(latent);
    };
    return hooks;
  }

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
  ModelFiles files_;
  std::mutex mutex_;  // one picture or batch at a time: it uses all cores already
};

}  // namespace

std::unique_ptr<PictureRenderer> LoadZImageRenderer(const ZImageOptions& options) {
  std::unique_ptr<ZImageRenderer> renderer;
  // The painter has a thread of its own; loading leaves no helpers behind that would count beside its.
  RunApart([&] {
    FilesReadHere reading;
    try {
      renderer = std::make_unique<ZImageRenderer>(options);
    } catch (const Error& error) {
      throw Error(error.code(), error.what() + FamilyNote(options.transformer_path));
    }
    reading.ThrowIfChanged();  // fingerprints are of what is there now
    renderer->AddRead(reading.files());
  });
  return renderer;
}

}  // namespace diptych
