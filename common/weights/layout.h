// The names that tensors have in the files that people own, and the ones that the models ask for (those of diffusers
// and transformers). A layout is a pure mapping: it sees names, shapes and types, never a file format and never a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/source_files/model_part.h"

namespace diptych {

// A tensor as its container has it.
struct RawTensor {
  std::string_view name;
  std::span<const int64_t> shape;  // row-major, [out, in] for a matrix
  std::string_view dtype;          // as safetensors spells it, "BF16"
};

// One tensor that a model may ask for: rows of a raw one, or all of it, whose bytes are read in another shape.
struct CanonicalTensor {
  std::string name;
  size_t raw = 0;  // which of the raw tensors
  std::vector<int64_t> shape;
  // Rows [first_row, first_row + rows) of the raw tensor's first dimension, whose bytes are contiguous; `shape` has as
  // many elements. Without `is_slice`: all of it.
  bool is_slice = false;
  int64_t first_row = 0, rows = 0;
};

class Layout {
 public:
  // Decides from the names of all `raw` tensors, sorted by name, how they are to be read as `part`:
  //   the prefix that the part has in a merged file (model.diffusion_model., first_stage_model.,
  //   text_encoders.NAME.transformer., ...); the original names of Z-Image with fused attention.qkv, or diffusers'; LDM
  //   names of the VAE, or diffusers'; llama.cpp's names of the text model, or transformers'.
  // The scales of fp8 are LAYER.weight_scale however a file spells them (LAYER.scale_weight); its markers and the
  // scales of activations are left out.
  // What has its canonical name already is left as it is, also what is not known: whoever reads the tensors tells of
  // it. Throws Error(kInvalidArgument) with one line that begins with `path`: for tensors of which it cannot be said
  // what they are (two of the same part, a prefix that some of them lack, fused beside split, a fused one of an odd
  // shape), for another model or part, and for quantised forms that are not read. Where nothing at all is known every
  // tensor keeps its name. `architecture`: what the container says that it holds (general.architecture of a GGUF file);
  // empty: it says nothing.
  static Layout Of(ModelPart part, std::span<const RawTensor> raw, const std::string& path,
                   std::string_view architecture = {});

  // Every name is canonical: nothing has to be derived.
  bool is_plain() const { return is_plain_; }
  const std::vector<CanonicalTensor>& tensors() const { return tensors_; }  // in the order of the raw ones
  const std::vector<std::string>& foreign() const { return foreign_; }  // raw names of tensors of other models, sorted
  const std::string& prefix() const { return prefix_; }                 // that was taken off; may be empty

  // The raw tensor that a canonical one comes from, or would come from if it were there.
  std::string RawName(std::string_view canonical) const;

  // For the log: "original names (attention.qkv), prefix model.diffusion_model."; empty for a plain one.
  std::string Description() const;

 private:
  enum class Naming { kCanonical, kFused, kLdm, kLlamaCpp };
  Layout() = default;
  void DecideNaming(std::span<const RawTensor> own, const std::string& path);
  void Add(const RawTensor& tensor, size_t raw, const std::string& path);
  void AddSplit(const RawTensor& fused, size_t raw, const std::string& path);
  void AddSplitScale(const RawTensor& fused, std::string_view name, size_t raw);

  ModelPart part_ = ModelPart::kTransformer;
  Naming naming_ = Naming::kCanonical;
  std::string prefix_;
  int64_t vae_levels_ = 0;  // of kLdm: stages of the decoder, which it counts from the picture's side
  bool is_plain_ = true;
  std::vector<CanonicalTensor> tensors_;
  std::vector<std::string> foreign_;
};

}  // namespace diptych
