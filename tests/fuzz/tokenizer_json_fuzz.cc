// Whatever a tokenizer.json holds, it is refused with an Error or gives a tokenizer that works.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/error/error.h"
#include "common/tokenizer/bpe_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(bytes), size);
  try {
    const diptych::BpeTokenizer tokenizer = diptych::BpeTokenizer::FromTokenizerJson(json, "tokenizer.json");
    const auto ids =
        tokenizer.Encode("<|im_start|>user\nthe then\t cafe\u0301 12 \u732b\U0001f431 it's<|im_end|>\n<think>\r\n");
    for (const int64_t id : ids) {
      if (id < 0 || id >= static_cast<int64_t>(tokenizer.vocabulary_size())) std::abort();
    }
    tokenizer.Decode(ids, true);
  } catch (const diptych::Error&) {
  }
  return 0;
}
