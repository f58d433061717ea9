// Conditioning in a file: FILE.safetensors with one tensor `embeddings` [tokens, width] in the encoder's dtype, and
// FILE.json beside it with where it comes from. The keys are those of llm-dit-experiments, which reads the files, too;
// ours come on top, and so does a second tensor, `negative_embeddings`, for guidance.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/conditioning/conditioning.h"
#include "common/receipt/receipt.h"
#include "coordinator/input.h"

namespace diptych {

// Layer, long-prompt mode, dtype, width and models are those of the positive embeddings.
struct SavedNegative {
  Conditioning conditioning;
  std::optional<PromptParts> prompt;  // unset: unknown
};

struct SavedEmbeddings {
  Conditioning conditioning;
  std::optional<PromptParts> prompt;  // unset: unknown
  std::optional<SavedNegative> negative;
  std::string created_at;       // local time, ISO 8601
  std::string encoder_device;   // "cpu" or "cuda"
  std::string model_path;       // as the user named it
  std::string program_version;  // empty when another program wrote it
};

// `path` with .safetensors added when it has another or no extension. Throws Error(kInvalidArgument) for the extensions
// of pickles.
std::filesystem::path EmbeddingsPath(const std::filesystem::path& path);

// Writes both files, making their folder, and returns EmbeddingsPath(path).
// The files are their owner's alone: the prompt is in them.
// Throws Error: kInvalidArgument for an inconsistent block, kUnavailable when a file cannot be written.
std::filesystem::path SaveEmbeddings(const std::filesystem::path& path, const SavedEmbeddings& saved);

// `file` may be a pipe, or "-" for standard input: at most 1 GiB, and the sidecar of "-" is none.
// Without a sidecar, and for what the sidecar does not say, the origin is unknown: no prompt, empty fingerprints, layer
// -2. Keys that we do not know are ignored. Throws Error: kNotFound; kDataLoss for a damaged file or a tensor with
// other bytes than the sidecar's checksum; kInvalidArgument for a pickle, a picture, a file without `embeddings`, a
// tensor that is not BF16 or F32 of two dimensions, and a sidecar that contradicts the tensor.
SavedEmbeddings LoadEmbeddings(const std::string& file, const InputSource& source = {});

}  // namespace diptych
