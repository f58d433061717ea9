#include "common/error/error.h"
#include "common/receipt/parameters_text.h"
#include "common/receipt/receipt.h"

namespace diptych {

std::vector<std::pair<std::string, std::string>> ReceiptPngText(const Receipt& receipt) {
  return {{std::string(kReceiptKeyword), ToJson(receipt)}, {"parameters", ParametersText(receipt)}};
}

Receipt FindReceipt(const std::vector<std::pair<std::string, std::string>>& texts) {
  std::string problem;
  for (const auto& [keyword, text] : texts) {
    if (keyword != kReceiptKeyword) continue;
    try {
      return ReceiptFromJson(text);
    } catch (const Error& error) {  // another program may use our keyword, too
      if (problem.empty()) problem = error.what();
    }
  }
  if (!problem.empty()) throw Error(ErrorCode::kInvalidArgument, problem);
  throw Error(ErrorCode::kNotFound, "the picture carries no Diptych receipt (a text called \"diptych\")");
}

}  // namespace diptych
