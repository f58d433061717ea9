// What a file or folder of weights is and how it would be used, told from the headers of its files: no tensor is read
// and nothing is loaded, so that any size takes no time and no memory. Texts hold names out of the files: foreign text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/source_files/model_part.h"
#include "common/weights/weight_need.h"

namespace diptych {

// The tensors of one number format.
struct FormatCount {
  std::string name;  // "BF16", "Q4_K"; of a format that is not read as the file spells it
  size_t tensors = 0;
  uint64_t bytes = 0;
};

// Files that one part, or something else, lies in.
struct ContainerReport {
  std::string name;    // "safetensors", "GGUF"; empty: no file could be opened
  size_t files = 0;    // more than one: shards
  uint64_t bytes = 0;  // of the files on disk
};

// One part of a model.
struct PartReport {
  ModelPart part = ModelPart::kTransformer;
  std::string path;  // of the file or folder, for OptionOf(part)
  ContainerReport container;
  std::string layout;  // Checkpoint::LayoutText: how the files name its tensors; empty: as the model asks for them
  // Its tensors, as the model asks for them: q, k and v are three where a file has them in one.
  size_t tensors = 0;
  uint64_t parameters = 0;  // elements of the tensors
  uint64_t bytes = 0;
  std::vector<FormatCount> formats;    // the most bytes first
  WeightNeed in_bfloat16, in_float32;  // of what is loaded of it: no lm_head, no encoder of the VAE
  std::string configuration;           // "MODEL/vae/config.json", "its metadata", "its shapes"; empty: see `problem`
  std::optional<bool> has_tokenizer;   // of a text encoder in a GGUF file: in its metadata
  // Tensors that the part cannot do without, at most kMostMissing of them, as a file would name them and with what is
  // known about them. Not all that the model asks for: what one of its blocks lacks and others have, and what stands
  // before and behind the blocks.
  std::vector<std::string> missing;
  std::string problem;      // why it cannot be loaded, one line; empty: nothing that a header tells
  bool is_damaged = false;  // the problem: its files cannot be read at all
};
inline constexpr size_t kMostMissing = 1000;

struct LoraReport {
  size_t modules = 0;                         // layers of Z-Image's transformer that it is for; 0: it is for another model
  size_t foreign = 0;                         // tensors for no such layer
  int64_t least_rank = 0, greatest_rank = 0;  // 0: it has no factors
  std::vector<std::string> trigger_words;
  std::string base_model;
};

enum class WeightsKind {
  kCheckpoint,  // a folder with the folders of its parts
  kPart,
  kParts,  // several in one file, or one folder's files
  kLora,
  kOther
};

struct WeightsReport {
  WeightsKind kind = WeightsKind::kOther;
  std::string path;                  // as given
  std::string what;                  // in a few words: "transformer", "LoRA of Z-Image", "Stable Diffusion XL, another model"
  ContainerReport container;         // of a checkpoint those of all its parts; no name where these differ
  std::vector<FormatCount> formats;  // of all tensors in the files
  size_t tensors = 0;
  std::vector<PartReport> parts;
  std::optional<LoraReport> lora;
  std::vector<std::string> foreign;   // names of tensors that are of none of the parts
  std::vector<std::string> lacks;     // of a checkpoint: folders that are not there, "vae"
  std::string refusal;                // of kOther: why it is not taken, one line; empty: nothing in it is known
  std::vector<std::string> warnings;  // what was passed over when the files were opened
};

// Throws Error for a file or folder that cannot be read: as Checkpoint::Open.
WeightsReport InspectWeights(const std::string& path);

// What there is to inspect in `folder` and in folders in it, two levels deep: checkpoint folders, folders of shards, and
// every other *.safetensors and *.gguf; sorted. The folder itself, if it is a checkpoint. Throws Error: kNotFound when
// there is nothing or no such folder, kInvalidArgument for what is no folder.
std::vector<std::string> WeightsBelow(const std::string& folder);

// "--vae-path"
std::string_view OptionOf(ModelPart part);

}  // namespace diptych
