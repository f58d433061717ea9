#include "tools/random_checkpoint/random_checkpoint.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <utility>

#include "common/error/error.h"
#include "common/weights/safetensors_writer.h"
#include "tools/random_checkpoint/config_files.h"
#include "tools/random_checkpoint/gguf_file.h"
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

// "layers.0.attention.to_q.weight" and its like: where q stands, k and v follow in one tensor.
std::string OriginalName(std::string name) {
  static const std::vector<std::pair<std::regex, std::string>> kNames = {
      {std::regex(R"(^all_(x_embedder|final_layer)\.2-1\.)"), "$1."},
      {std::regex(R"(\.attention\.to_q\.)"), ".attention.qkv."},
      {std::regex(R"(\.attention\.to_out\.0\.)"), ".attention.out."},
      {std::regex(R"(\.attention\.norm_([qk])\.)"), ".attention.$1_norm."}};
  for (const auto& [from, to] : kNames) name = std::regex_replace(name, from, to);
  return name;
}

std::string LlamaCppName(std::string name) {
  static const std::vector<std::pair<std::regex, std::string>> kNames = {
      {std::regex(R"(^model\.embed_tokens\.)"), "token_embd."},
      {std::regex(R"(^model\.norm\.)"), "output_norm."},
      {std::regex(R"(^lm_head\.)"), "output."},
      {std::regex(R"(^model\.layers\.)"), "blk."},
      {std::regex(R"(\.self_attn\.([qkv])_proj\.)"), ".attn_$1."},
      {std::regex(R"(\.self_attn\.o_proj\.)"), ".attn_output."},
      {std::regex(R"(\.self_attn\.([qk])_norm\.)"), ".attn_$1_norm."},
      {std::regex(R"(\.input_layernorm\.)"), ".attn_norm."},
      {std::regex(R"(\.post_attention_layernorm\.)"), ".ffn_norm."},
      {std::regex(R"(\.mlp\.(gate|up|down)_proj\.)"), ".ffn_$1."}};
  for (const auto& [from, to] : kNames) name = std::regex_replace(name, from, to);
  return name;
}

void WriteGgufModel(const fs::path& path, const std::string& architecture, RandomTensors tensors,
                    const Options& options) {
  const Dtype quantised = *options.quantised;
  std::vector<TensorSpec> specs;
  std::map<std::string, RandomTensor> by_name;
  for (RandomTensor& tensor : tensors) {
    if (tensor.name.find(".attention.to_k.") != std::string::npos) continue;
    if (tensor.name.find(".attention.to_v.") != std::string::npos) continue;
    if (tensor.name.find(".attention.to_q.") != std::string::npos) tensor.shape[0] *= 3;
    tensor.name = architecture == "qwen3" ? LlamaCppName(tensor.name) : OriginalName(tensor.name);
    const std::vector<int64_t>& shape = tensor.shape;
    const bool fits = shape.size() == 2 && shape[0] > 1 && shape[1] % FactsOf(quantised).block_elements == 0;
    specs.push_back({tensor.name, fits ? quantised : shape.size() == 1 ? Dtype::F32 : Dtype::BF16, shape});
    by_name[tensor.name] = tensor;
  }
  WriteGguf(path.string(), architecture, specs, [&](const TensorSpec& spec, std::span<uint8_t> bytes) {
    const RandomTensor& tensor = by_name.at(spec.name);
    const std::string key = path.parent_path().filename().string() + "/" + spec.name;
    if (IsQuantised(spec.dtype)) {
      FillRandomBlocks(options.seed, key, tensor.deviation, spec.dtype, bytes);
    } else {
      FillRandom(options.seed, key, tensor.mean, tensor.deviation, spec.dtype, bytes);
    }
  });
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
  if (options.quantised) {
    WriteGgufModel(text_encoder / "model.gguf", "qwen3", TextEncoderTensors(sizes.text), options);
  } else {
    WriteModel(text_encoder, "model", TextEncoderTensors(sizes.text), options);
  }

  const fs::path transformer = MakeFolder(root / "transformer");
  WriteText(transformer / "config.json", TransformerConfigJson(sizes.transformer, caption_dim));
  if (options.quantised) {
    WriteGgufModel(transformer / "diffusion_pytorch_model.gguf", "lumina2",
                   TransformerTensors(sizes.transformer, caption_dim), options);
  } else {
    WriteModel(transformer, "diffusion_pytorch_model", TransformerTensors(sizes.transformer, caption_dim), options);
  }

  const fs::path vae = MakeFolder(root / "vae");
  WriteText(vae / "config.json", VaeConfigJson(sizes.vae, sizes.native_size));
  WriteModel(vae, "diffusion_pytorch_model", VaeTensors(sizes.vae), options);

  WriteText(MakeFolder(root / "scheduler") / "scheduler_config.json", SchedulerConfigJson(sizes.shift));
  WriteText(root / "model_index.json", ModelIndexJson());  // last: a folder that has it is complete
}

}  // namespace diptych::random_checkpoint
