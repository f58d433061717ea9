#include "common/receipt/receipt.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"

namespace diptych {
namespace {

using Json = nlohmann::json;                 // for reading: finds a field fast among many hostile ones
using OrderedJson = nlohmann::ordered_json;  // for writing: keeps the order

constexpr JsonBounds kReceipt{.bytes = size_t{16} << 20, .depth = 8, .values = 1000};
constexpr uint64_t kMaxInt32 = std::numeric_limits<int32_t>::max();

[[noreturn]] void Refuse(const std::string& message) {
  throw Error(ErrorCode::kInvalidArgument, "receipt: " + message);
}

OrderedJson PromptJson(const PromptParts& prompt) {
  OrderedJson json;
  ForEachPart(prompt, [&](const char* field, const auto& value) { json[field] = value; });
  return json;
}

// Reads the fields of one JSON object by name, and refuses those that nobody asked for.
class Fields {
 public:
  Fields(const Json& object, std::string name) : object_(object), name_(std::move(name)) {
    if (!object_.is_object()) Refuse((name_.empty() ? "it" : Quoted("")) + " must be an object");
  }

  std::string Text(const std::string& field) {
    const Json& value = Required(field);
    if (!value.is_string()) Wrong(field, "a text");
    return value.get<std::string>();
  }
  std::string OptionalText(const std::string& field) { return Find(field) ? Text(field) : ""; }

  // What is missing stays as it is.
  void ReadOptional(const std::string& field, std::string& value) {
    if (Find(field)) value = Text(field);
  }
  void ReadOptional(const std::string& field, bool& value) {
    const Json* found = Find(field);
    if (found == nullptr) return;
    if (!found->is_boolean()) Wrong(field, "true or false");
    value = found->get<bool>();
  }

  uint64_t Unsigned(const std::string& field, uint64_t least, uint64_t most) {
    const Json& value = Required(field);
    const std::string range = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    if (!value.is_number_unsigned()) Wrong(field, range);
    const uint64_t number = value.get<uint64_t>();
    if (number < least || number > most) Wrong(field, range);
    return number;
  }

  int32_t Negative(const std::string& field) {
    const Json& value = Required(field);
    const bool has_sign = value.is_number_integer() && !value.is_number_unsigned();  // "-0" has one too
    const int64_t number = has_sign ? value.get<int64_t>() : 0;
    if (number >= 0 || number < std::numeric_limits<int32_t>::min()) Wrong(field, "a negative whole number");
    return static_cast<int32_t>(number);
  }

  // Finite and not negative.
  double Number(const std::string& field) {
    const Json& value = Required(field);
    if (!value.is_number()) Wrong(field, "a number");
    const double number = value.get<double>();
    if (!std::isfinite(number) || number < 0) Wrong(field, "a number of at least 0");
    return number;
  }

  // 64 lower-case hexadecimal digits.
  std::string Hash(const std::string& field) {
    const std::string text = Text(field);
    if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
      Wrong(field, "64 lower-case hexadecimal digits");
    }
    return text;
  }
  // The same, or empty.
  std::string OptionalHash(const std::string& field) { return OptionalText(field).empty() ? "" : Hash(field); }

  std::string OneOf(const std::string& field, const std::set<std::string>& choices) {
    const std::string text = Text(field);
    std::string list;
    for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
    if (!choices.contains(text)) Wrong(field, "one of " + list);
    return text;
  }

  const Json* Find(const std::string& field) {
    asked_.insert(field);
    const auto found = object_.find(field);
    return found == object_.end() ? nullptr : &*found;
  }

  // Call it last.
  void RefuseUnknown() const {
    for (const auto& [field, value] : object_.items()) {
      if (!asked_.contains(field)) Refuse("unknown field " + Quoted(field.substr(0, 200)));
    }
  }

 private:
  std::string Quoted(const std::string& field) const {
    const std::string dot = name_.empty() || field.empty() ? "" : ".";
    return "\"" + name_ + dot + field + "\"";
  }
  const Json& Required(const std::string& field) {
    const Json* value = Find(field);
    if (value == nullptr) Refuse("field " + Quoted(field) + " is missing");
    return *value;
  }
  [[noreturn]] void Wrong(const std::string& field, const std::string& right) const {
    Refuse(Quoted(field) + " must be " + right);
  }

  const Json& object_;
  const std::string name_;
  std::set<std::string> asked_;
};

PromptParts ReadPrompt(const Json& object, const std::string& name) {
  Fields fields(object, name);
  PromptParts prompt;
  ForEachPart(prompt, [&](const char* field, auto& value) { fields.ReadOptional(field, value); });
  fields.RefuseUnknown();
  return prompt;
}

Receipt ReadReceipt(const Json& json) {
  Fields fields(json, "");
  const uint64_t schema = fields.Unsigned("schema", 1, std::numeric_limits<uint64_t>::max());
  if (schema > Receipt::kSchema) {
    Refuse("schema " + std::to_string(schema) + " is not known to this version, which reads schemas up to " +
           std::to_string(Receipt::kSchema) + "; use a newer Diptych");
  }
  Receipt receipt;
  receipt.program_version = fields.Text("program_version");
  if (const Json* prompt = fields.Find("prompt")) receipt.prompt = ReadPrompt(*prompt, "prompt");
  if (const Json* negative = fields.Find("negative")) receipt.negative = ReadPrompt(*negative, "negative");
  receipt.width = static_cast<int32_t>(fields.Unsigned("width", 1, kMaxInt32));
  receipt.height = static_cast<int32_t>(fields.Unsigned("height", 1, kMaxInt32));
  receipt.seed = fields.Unsigned("seed", 0, std::numeric_limits<uint64_t>::max());
  receipt.steps = static_cast<int32_t>(fields.Unsigned("steps", 1, kMaxInt32));
  receipt.shift = fields.Number("shift");
  receipt.guidance_scale = fields.Number("guidance_scale");
  receipt.cfg_normalization = fields.Number("cfg_normalization");
  receipt.cfg_truncation = fields.Number("cfg_truncation");
  receipt.layer = fields.Negative("layer");
  receipt.long_prompt_mode = fields.OneOf("long_prompt_mode", {"truncate", "interpolate", "pool", "attention_pool"});
  receipt.dtype = fields.OneOf("dtype", {"bfloat16", "float32"});
  receipt.conditioning_dtype = fields.OneOf("conditioning_dtype", {"bfloat16", "float32"});
  if (schema >= 2) {
    const uint64_t size = fields.Unsigned("tile_size", 0, kMaxInt32);
    const uint64_t overlap = fields.Unsigned("tile_overlap", 0, size == 0 ? 0 : size - 1);
    receipt.tiles = {static_cast<int32_t>(size), static_cast<int32_t>(overlap)};
  }
  if (schema >= 3) receipt.schedule = fields.Text("schedule");
  receipt.transformer_fingerprint = fields.Hash("transformer_fingerprint");
  receipt.vae_fingerprint = fields.Hash("vae_fingerprint");
  receipt.text_encoder_fingerprint = fields.OptionalHash("text_encoder_fingerprint");
  receipt.tokenizer_fingerprint = fields.OptionalHash("tokenizer_fingerprint");
  receipt.conditioning_hash = fields.Hash("conditioning_hash");
  receipt.negative_conditioning_hash = fields.OptionalHash("negative_conditioning_hash");
  fields.RefuseUnknown();
  return receipt;
}

}  // namespace

std::string ToJson(const Receipt& receipt) {
  OrderedJson json;
  json["schema"] = uint64_t{!receipt.schedule.empty() ? Receipt::kSchema : receipt.tiles ? 2u : 1u};
  json["program_version"] = receipt.program_version;
  if (receipt.prompt) json["prompt"] = PromptJson(*receipt.prompt);
  if (receipt.negative) json["negative"] = PromptJson(*receipt.negative);
  json["width"] = receipt.width;
  json["height"] = receipt.height;
  json["seed"] = receipt.seed;
  json["steps"] = receipt.steps;
  json["shift"] = receipt.shift;
  json["guidance_scale"] = receipt.guidance_scale;
  json["cfg_normalization"] = receipt.cfg_normalization;
  json["cfg_truncation"] = receipt.cfg_truncation;
  json["layer"] = receipt.layer;
  json["long_prompt_mode"] = receipt.long_prompt_mode;
  json["dtype"] = receipt.dtype;
  json["conditioning_dtype"] = receipt.conditioning_dtype;
  if (receipt.tiles) {
    json["tile_size"] = receipt.tiles->size;
    json["tile_overlap"] = receipt.tiles->overlap;
  }
  if (!receipt.schedule.empty()) json["schedule"] = receipt.schedule;
  json["transformer_fingerprint"] = receipt.transformer_fingerprint;
  json["vae_fingerprint"] = receipt.vae_fingerprint;
  if (!receipt.text_encoder_fingerprint.empty()) json["text_encoder_fingerprint"] = receipt.text_encoder_fingerprint;
  if (!receipt.tokenizer_fingerprint.empty()) json["tokenizer_fingerprint"] = receipt.tokenizer_fingerprint;
  json["conditioning_hash"] = receipt.conditioning_hash;
  if (!receipt.negative_conditioning_hash.empty())
    json["negative_conditioning_hash"] = receipt.negative_conditioning_hash;
  try {
    return json.dump();
  } catch (const OrderedJson::type_error&) {
    Refuse("a text is not valid UTF-8");
  }
}

Receipt ReceiptFromJson(std::string_view text) {
  Json json;
  try {
    json = ParseBoundedJson(text, kReceipt);
  } catch (const JsonError& error) {
    Refuse(error.is_syntax() ? "the text is not valid JSON" : std::string("the text ") + error.what());
  }
  return ReadReceipt(json);
}

}  // namespace diptych
