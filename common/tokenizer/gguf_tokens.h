// The tokenizer that stands in the metadata of a GGUF file, as llama.cpp's conversion writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizer/tokenizer_model.h"

namespace diptych {

// What the file says, in views of it; nothing checked but the types. In comments: the keys, behind "tokenizer.ggml.".
struct GgufTokens {
  std::string name;                               // of the file, for errors
  std::optional<std::string_view> model = {};     // model
  std::optional<std::string_view> pre = {};       // pre: the name of the split
  std::span<const std::string_view> tokens = {};  // tokens, by id: ordinary ones in the printable alphabet
  std::vector<int64_t> types = {};                // token_type, by id
  std::span<const std::string_view> merges = {};  // merges: "left right", by rank
  std::optional<int64_t> bos_id = {};             // bos_token_id
  std::optional<int64_t> eos_id = {};             // eos_token_id
  std::optional<int64_t> padding_id = {};         // padding_token_id
  bool adds_bos = false;                          // add_bos_token
  bool adds_eos = false;                          // add_eos_token
};

// The same model as from the tokenizer.json that the file was made from. Tokens of type 3 (control) and 4
// (user-defined) are split off as they stand; type 5 fills unused ids, and text that spells one is ordinary text. Text
// is composed (NFC): a GGUF file cannot say so, Qwen's tokenizer does. Throws Error(kInvalidArgument) naming file and
// key for another kind of tokenizer, for what does not fit together, and as MakeTokenizerModel.
TokenizerModel ReadGgufTokens(const GgufTokens& tokens);

}  // namespace diptych
