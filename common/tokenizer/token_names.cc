#include "common/tokenizer/token_names.h"

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/source_files/file_kind.h"

namespace diptych {

nlohmann::json ParseJson(std::string_view text, const std::string& file) {
  try {
    return ParseBoundedJson(text, kTokenizerJson);
  } catch (const JsonError& error) {
    const std::string kind = FileKind({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, text.size());
    if (!kind.empty()) throw Error(ErrorCode::kDataLoss, file + ": this is " + kind);
    throw Error(ErrorCode::kDataLoss, file + ": " + error.what());
  }
}

}  // namespace diptych
