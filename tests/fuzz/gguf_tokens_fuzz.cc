// Any GGUF file is refused, carries no tokenizer, or makes one that encodes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "common/error/error.h"
#include "common/tokenizer/bpe_tokenizer.h"
#include "common/weights/gguf_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = diptych::GgufFile::Parse({data, size}, "fuzz");
    const auto tokens = diptych::TokensOf(*file);
    if (!tokens) return 0;
    const auto tokenizer = diptych::BpeTokenizer::FromGguf(*tokens);
    const std::string text = "a cat<|im_end|> cafe\u0301 [PAD3]\n";
    const std::vector<int64_t> ids = tokenizer.Encode(text);
    for (const int64_t id : ids) {
      if (id < 0 || static_cast<size_t>(id) >= tokenizer.vocabulary_size()) std::abort();
    }
    tokenizer.Decode(ids, true);
  } catch (const diptych::Error&) {
  }
  return 0;
}
