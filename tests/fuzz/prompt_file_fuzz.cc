// Foreign text as a file of prompts: refused as a wrong wish that names its line, or prompts that can be asked for.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/prompt/utf8.h"
#include "coordinator/order/prompt_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    std::vector<std::string> notes;
    const std::vector<diptych::PromptLine> lines = diptych::ParsePromptFile(text, "p.txt", &notes);
    if (lines.empty()) std::abort();
    for (const diptych::PromptLine& line : lines) {
      if (line.place.rfind("p.txt:", 0) != 0 || diptych::FindInvalidUtf8(line.prompt) != line.prompt.npos) std::abort();
    }
  } catch (const diptych::Error& error) {
    if (error.code() != diptych::ErrorCode::kInvalidArgument) std::abort();
    if (std::string_view(error.what()).rfind("p.txt", 0) != 0) std::abort();
  }
  return 0;
}
