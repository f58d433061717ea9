#include "render_node/conditioning/conditioning_header_json.h"

#include "common/json/bounded_json.h"

namespace diptych {

using Json = nlohmann::json;

std::string ConditioningHeaderToJson(const ConditioningHeader& header) {
  const Json json = {{"model_fingerprint", header.model_fingerprint},
                     {"tokenizer_fingerprint", header.tokenizer_fingerprint},
                     {"text_sha256", header.text_sha256},
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
  ConditioningHeader header;
  header.model_fingerprint = json.at("model_fingerprint").get<std::string>();
  header.tokenizer_fingerprint = json.at("tokenizer_fingerprint").get<std::string>();
  header.text_sha256 = json.at("text_sha256").get<std::string>();
  header.token_count = json.at("token_count").get<int64_t>();
  header.layer = json.at("layer").get<int32_t>();
  header.long_prompt_mode = ParseLongPromptMode(json.at("long_prompt_mode").get<std::string>());
  header.dtype = ParseStateDtype(json.at("dtype").get<std::string>());
  header.rows = json.at("rows").get<int64_t>();
  header.width = json.at("width").get<int64_t>();
  return header;
}

}  // namespace diptych
