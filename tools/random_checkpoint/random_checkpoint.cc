#include "tools/random_checkpoint/random_checkpoint.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "common/error/error.h"
#include "common/weights/safetensors_writer.h"
#include "tools/random_checkpoint/config_files.h"
#include "tools/random_checkpoint/random_tensor.h"
#include "tools/random_checkpoint/random_values.h"
#include "tools/random_checkpoint/tokenizer_file.h"

namespace diptych::random_checkpoint {
namespace {

namespace fs = std::filesystem;

fs::path MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorCode::kUnavailable, "cannot create " + folder.string() + ": " + error.message());
  return folder;
}

void WriteText(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorCode::kUnavailable, "cannot write " + path.string());
}

void WriteModel(const fs::path& folder, const std::string& base, const RandomTensors& tensors, const Options& options) {
  const Dtype dtype = options.float32 ? Dtype::F32 : Dtype::BF16;
  std::vector<TensorSpec> specs;
  std::map<std::string, const RandomTensor*> by_name;
  for (const RandomTensor& tensor : tensors) {
    specs.push_back({tensor.name, dtype, tensor.shape});
    by_name[tensor.name] = &tensor;
  }
  const auto fill = [&](const TensorSpec& spec, std::span<uint8_t> bytes) {
    const RandomTensor& tensor = *by_name.at(spec.name);
    FillRandom(options.seed, folder.filename().string() + "/" + spec.name, tensor.mean, tensor.deviation, dtype, bytes);
  };
  WriteCheckpoint(folder, base, specs, fill, options.max_shard_bytes, {{"format", "pt"}});
}

}  // namespace

void WriteRandomCheckpoint(const std::string& folder, const Sizes& sizes, const Options& options) {
  CheckSizes(sizes);
  const fs::path root = MakeFolder(folder);
  if (!fs::is_empty(root)) throw Error(ErrorCode::kInvalidArgument, folder + " is not empty; name a new folder");
  const int64_t caption_dim = sizes.text.hidden;

  const fs::path tokenizer = MakeFolder(root / "tokenizer");
  WriteText(tokenizer / "tokenizer.json", TokenizerJson());
  WriteText(tokenizer / "tokenizer_config.json", TokenizerConfigJson());

  const fs::path text_encoder = MakeFolder(root / "text_encoder");
  WriteText(text_encoder / "config.json", TextEncoderConfigJson(sizes.text, options.float32 ? "float32" : "bfloat16"));
  WriteModel(text_encoder, "model", TextEncoderTensors(sizes.text), options);

  const fs::path transformer = MakeFolder(root / "transformer");
  WriteText(transformer / "config.json", TransformerConfigJson(sizes.transformer, caption_dim));
  WriteModel(transformer, "diffusion_pytorch_model", TransformerTensors(sizes.transformer, caption_dim), options);

  const fs::path vae = MakeFolder(root / "vae");
  WriteText(vae / "config.json", VaeConfigJson(sizes.vae, sizes.native_size));
  WriteModel(vae, "diffusion_pytorch_model", VaeTensors(sizes.vae), options);

  WriteText(MakeFolder(root / "scheduler") / "scheduler_config.json", SchedulerConfigJson(sizes.shift));
  WriteText(root / "model_index.json", ModelIndexJson());  // last: a folder that has it is complete
}

}  // namespace diptych::random_checkpoint
