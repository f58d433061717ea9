#include "common/weights/gguf_tokenizer.h"

namespace diptych {

std::optional<GgufTokens> TokensOf(const GgufFile& file) {
  const auto* const tokens = file.Texts("tokenizer.ggml.tokens");
  if (tokens == nullptr) return std::nullopt;
  GgufTokens found;
  found.name = file.path();
  found.model = file.Text("tokenizer.ggml.model");
  found.pre = file.Text("tokenizer.ggml.pre");
  found.tokens = *tokens;
  if (const auto types = file.Integers("tokenizer.ggml.token_type")) {
    found.types.reserve(types->size());
    for (size_t id = 0; id < types->size(); ++id) found.types.push_back((*types)[id]);
  }
  if (const auto* const merges = file.Texts("tokenizer.ggml.merges")) found.merges = *merges;
  found.bos_id = file.Integer("tokenizer.ggml.bos_token_id");
  found.eos_id = file.Integer("tokenizer.ggml.eos_token_id");
  found.padding_id = file.Integer("tokenizer.ggml.padding_token_id");
  found.adds_bos = file.Bool("tokenizer.ggml.add_bos_token").value_or(false);
  found.adds_eos = file.Bool("tokenizer.ggml.add_eos_token").value_or(false);
  return found;
}

}  // namespace diptych
