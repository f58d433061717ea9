// Writes the files that ComfyUI's users have from the folders that diffusers writes: the same bytes under the names of
// the original code, the prefixes of merged files, q, k and v as one tensor. Tables of its own, not those of the
// program.
#pragma once

#include <cstdint>
#include <deque>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "common/weights/checkpoint.h"
#include "common/weights/safetensors_writer.h"

namespace diptych::testing {

// Tensors to be written; the bytes are those of the checkpoints that they came from, which must live on, or own ones.
class ComfyUiFile {
 public:
  using Renames = std::vector<std::pair<std::regex, std::string>>;

  // z_image_turbo_bf16.safetensors: attention.qkv, the original names, pad tokens without a leading dimension.
  void AddTransformer(const Checkpoint& folder, const std::string& prefix) {
    static const Renames kNames = {{std::regex(R"(^all_x_embedder\.2-1\.)"), "x_embedder."},
                                   {std::regex(R"(^all_final_layer\.2-1\.)"), "final_layer."},
                                   {std::regex(R"(\.to_out\.0\.)"), ".out."},
                                   {std::regex(R"(\.norm_([qk])\.)"), ".$1_norm."}};
    for (const auto& [name, tensor] : folder.tensors()) {
      const size_t q = name.find(".to_q.");
      if (name.find(".to_k.") != name.npos || name.find(".to_v.") != name.npos) continue;
      if (q == name.npos) {
        std::vector<int64_t> shape = tensor.entry->shape;
        if (name.ends_with("_pad_token")) shape.erase(shape.begin());
        Add(prefix + Renamed(name, kNames), *tensor.entry, shape);
        continue;
      }
      std::vector<uint8_t>& rows = own_.emplace_back();
      for (const char* part : {".to_q.", ".to_k.", ".to_v."}) {
        std::string one = name;
        const TensorEntry& entry = *folder.Find(one.replace(q, 6, part));
        rows.insert(rows.end(), entry.data, entry.data + entry.byte_count);
      }
      const std::vector<int64_t> shape = {3 * tensor.entry->shape[0], tensor.entry->shape[1]};
      tensors_.push_back({{prefix + name.substr(0, q) + ".qkv.weight", tensor.entry->dtype, shape}, rows});
    }
  }

  // ae.safetensors: LDM names, 1x1 convolutions in the attention.
  void AddVae(const Checkpoint& folder, const std::string& prefix) {
    int levels = 0;
    while (folder.Find("decoder.up_blocks." + std::to_string(levels) + ".resnets.0.conv1.weight") != nullptr) ++levels;
    static const Renames kNames = {{std::regex(R"(\.resnets\.0\.)"), ".block.0."},
                                   {std::regex(R"(\.resnets\.1\.)"), ".block.1."},
                                   {std::regex(R"(\.resnets\.2\.)"), ".block.2."},
                                   {std::regex(R"(^encoder\.down_blocks\.)"), "encoder.down."},
                                   {std::regex(R"(\.mid_block\.block\.0\.)"), ".mid.block_1."},
                                   {std::regex(R"(\.mid_block\.block\.1\.)"), ".mid.block_2."},
                                   {std::regex(R"(\.mid_block\.attentions\.0\.to_([qkv])\.)"), ".mid.attn_1.$1."},
                                   {std::regex(R"(\.mid_block\.attentions\.0\.to_out\.0\.)"), ".mid.attn_1.proj_out."},
                                   {std::regex(R"(\.mid_block\.attentions\.0\.group_norm\.)"), ".mid.attn_1.norm."},
                                   {std::regex(R"(\.downsamplers\.0\.)"), ".downsample."},
                                   {std::regex(R"(\.upsamplers\.0\.)"), ".upsample."},
                                   {std::regex(R"(\.conv_shortcut\.)"), ".nin_shortcut."},
                                   {std::regex(R"(\.conv_norm_out\.)"), ".norm_out."}};
    static const std::regex kUp(R"(^decoder\.up_blocks\.(\d)\.)");
    for (const auto& [name, tensor] : folder.tensors()) {
      std::vector<int64_t> shape = tensor.entry->shape;
      if (name.find(".attentions.") != name.npos && shape.size() == 2) shape.insert(shape.end(), {1, 1});
      std::string renamed = Renamed(name, kNames);
      if (std::smatch level; std::regex_search(renamed, level, kUp)) {
        const int i = levels - 1 - std::stoi(level[1]);
        renamed = "decoder.up." + std::to_string(i) + "." + std::string(level.suffix());
      }
      Add(prefix + renamed, *tensor.entry, shape);
    }
  }

  // qwen_3_4b.safetensors: as the folder has them.
  void AddTextEncoder(const Checkpoint& folder, const std::string& prefix) {
    for (const auto& [name, tensor] : folder.tensors()) Add(prefix + name, *tensor.entry, tensor.entry->shape);
  }

  // One float of somebody else's.
  void AddOther(const std::string& name) {
    own_.emplace_back(4);
    tensors_.push_back({{name, Dtype::F32, {1}}, own_.back()});
  }

  void Write(const std::string& path) const { WriteSafetensors(path, tensors_, {{"format", "pt"}}); }

 private:
  static std::string Renamed(std::string name, const Renames& renames) {
    for (const auto& [from, to] : renames) name = std::regex_replace(name, from, to);
    return name;
  }
  void Add(const std::string& name, const TensorEntry& entry, const std::vector<int64_t>& shape) {
    tensors_.push_back({{name, entry.dtype, shape}, {entry.data, entry.byte_count}});
  }

  std::vector<TensorToWrite> tensors_;
  std::deque<std::vector<uint8_t>> own_;
};

}  // namespace diptych::testing
