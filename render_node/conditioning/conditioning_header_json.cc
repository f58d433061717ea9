#include "render_node/conditioning/conditioning_header_json.h"

#include <limits>

#include "common/json/bounded_json.h"
#include "common/json/json_fields.h"

namespace diptych {

using Json = nlohmann::json;

std::string ConditioningHeaderToJson(const ConditioningHeader& header) {
  const Json json = {{"model_fingerprint", header.model_fingerprint},
                     {"tokenizer_fingerprint", header.tokenizer_fingerprint},
                     {"text_sha256", header.input_sha256},
                     {"token_count", header.token_count},
                     {"layer", header.layer},
                     {"long_prompt_mode", LongPromptModeName(header.long_prompt_mode)},
                     {"dtype", StateDtypeName(header.dtype)},
                     {"rows", header.rows},
                     {"width", header.width}};
  return json.dump();
}

ConditioningHeader ConditioningHeaderFromJson(std::string_view text) {
  const Json json = ParseBoundedJson(text, {.bytes = 1 << 16, .depth = 2, .values = 100});
  JsonFields fields(json, "conditioning header");
  ConditioningHeader header;
  header.model_fingerprint = fields.Text("model_fingerprint");
  header.tokenizer_fingerprint = fields.Text("tokenizer_fingerprint");
  header.input_sha256 = fields.Text("text_sha256");
  header.token_count = fields.Whole("token_count", 0, std::numeric_limits<int64_t>::max());
  header.layer = static_cast<int32_t>(fields.Whole("layer", std::numeric_limits<int32_t>::min(), -1));
  header.long_prompt_mode = ParseLongPromptMode(fields.Text("long_prompt_mode"));
  header.dtype = ParseStateDtype(fields.Text("dtype"));
  header.rows = fields.Whole("rows", 1, std::numeric_limits<int64_t>::max());
  header.width = fields.Whole("width", 1, std::numeric_limits<int64_t>::max());
  return header;
}

}  // namespace diptych
