#include "common/weights/load_tokenizer.h"

#include <optional>

#include "common/error/error.h"
#include "common/source_files/file_kind.h"
#include "common/weights/gguf_tokenizer.h"

namespace diptych {

BpeTokenizer LoadTokenizer(const std::string& place) {
  if (!IsGguf(place)) return BpeTokenizer::Load(place);
  const auto file = GgufFile::Open(place);
  const std::optional<GgufTokens> tokens = TokensOf(*file);
  if (!tokens) {
    throw Error(ErrorCode::kInvalidArgument,
                place +
                    ": no tokenizer beside it, and it carries none (tokenizer.ggml.tokens); put tokenizer.json of "
                    "the same model beside it, or name the folder of a checkpoint as --model-path");
  }
  return BpeTokenizer::FromGguf(*tokens);
}

}  // namespace diptych
