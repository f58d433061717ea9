// The names of tensors in LoRA files, in the styles of all that write them (PEFT, diffusers, kohya, ComfyUI,
// ai-toolkit, LyCORIS, OneTrainer): which layer of the transformer one speaks of, and what it is there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// The linear layers of a transformer by their names in diffusers, "layers.3.attention.to_q", with [out, in].
using LoraModules = std::map<std::string, std::array<int64_t, 2>>;

// What a tensor is to its layer; in comments: how it is spelled, each also with ".weight" behind.
enum class LoraRole {
  kDown,           // lora_A, lora_down, lora.down, lora_linear_layer.down
  kUp,             // lora_B, lora_up, lora.up, lora_linear_layer.up
  kMid,            // lora_mid
  kUpBias,         // lora_B.bias
  kHadaW1A,        // hada_w1_a
  kHadaW1B,        // hada_w1_b
  kHadaW2A,        // hada_w2_a
  kHadaW2B,        // hada_w2_b
  kLokrW1,         // lokr_w1
  kLokrW1A,        // lokr_w1_a
  kLokrW1B,        // lokr_w1_b
  kLokrW2,         // lokr_w2
  kLokrW2A,        // lokr_w2_a
  kLokrW2B,        // lokr_w2_b
  kTucker,         // hada_t1, hada_t2, lokr_t2: the core of a convolution
  kDifference,     // diff
  kBias,           // diff_b
  kAlpha,          // alpha
  kPeftMagnitude,  // lora_magnitude_vector
  kDoraScale,      // dora_scale
};

std::string_view RoleName(LoraRole role);  // the first of its spellings

struct LoraKey {
  std::string_view layer;  // the name as far as the role, "diffusion_model.layers.0.attention.to_q"; inside the name
  LoraRole role;
};

// An adapter's name behind the role ("lora_A.default.weight") is passed over. nullopt: no role that is known.
std::optional<LoraKey> ParseLoraKey(std::string_view name);

// Whether the tensor is for a text encoder, by its prefix.
bool IsOfTextEncoder(std::string_view name);

// Rows [first_row, first_row + rows) of a target's matrix are those of `module`.
struct LoraRows {
  std::string module;
  int64_t first_row, rows;
};

// What a file has one addition for: a module, or the q, k and v that are fused in the original names, one under the
// other.
struct LoraTarget {
  std::string name;            // "layers.3.attention.to_q", "layers.3.attention.qkv"
  int64_t out, in;             // of the addition
  std::vector<LoraRows> rows;  // one, or three
};

// The layers that exist, under every name that files have for them. Names with underscores for dots are looked up among
// the layers that there are and never taken apart.
class LoraTargets {
 public:
  explicit LoraTargets(const LoraModules& modules);

  struct Found {
    const LoraTarget* target;  // nullptr: there is no such layer
    bool is_own_name;          // the target's name, with dots or underscores; else another one, "attention.out"
  };
  // With or without the prefixes of trainers and programs.
  Found Find(std::string_view layer) const;

 private:
  struct Entry {
    size_t target;
    bool is_own_name, is_ambiguous;
  };
  void AddName(const std::string& name, size_t target, bool is_own_name);

  std::vector<LoraTarget> targets_;
  std::map<std::string, Entry, std::less<>> by_name_;
};

}  // namespace diptych
