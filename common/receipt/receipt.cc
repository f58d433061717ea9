#include "common/receipt/receipt.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/json/json_fields.h"
#include "common/picture/picture_json.h"

namespace diptych {
namespace {

using Json = nlohmann::json;                 // for reading: finds a field fast among many hostile ones
using OrderedJson = nlohmann::ordered_json;  // for writing: keeps the order

constexpr JsonBounds kReceipt{.bytes = size_t{16} << 20, .depth = 8, .values = 1000};
constexpr uint64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
const std::vector<std::string> kDtypes = {"bfloat16", "float32"};

Receipt ReadReceipt(const Json& json) {
  JsonFields fields(json, "receipt");
  const uint64_t schema = fields.Unsigned("schema", 1, std::numeric_limits<uint64_t>::max());
  if (schema > Receipt::kSchema) {
    fields.Refuse("schema " + std::to_string(schema) + " is not known to this version, which reads schemas up to " +
                  std::to_string(Receipt::kSchema) + "; use a newer Diptych");
  }
  Receipt receipt;
  receipt.program_version = fields.Text("program_version");
  TakeMembers(fields, static_cast<int>(schema), receipt);
  (void)fields.Number("shift");  // as used, never unset
  receipt.dtype = fields.OneOf("dtype", kDtypes);
  receipt.conditioning_dtype = fields.OneOf("conditioning_dtype", kDtypes);
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
  const int facts = !receipt.schedule.empty() ? 3 : receipt.tiles ? 2 : 1;
  const int schema = std::max(facts, SchemaOf(receipt));
  json["schema"] = schema;
  json["program_version"] = receipt.program_version;
  PutMembers(receipt, json);
  json["dtype"] = receipt.dtype;
  json["conditioning_dtype"] = receipt.conditioning_dtype;
  if (schema >= 2) {
    const DecodeTiles tiles = receipt.tiles.value_or(DecodeTiles{});
    json["tile_size"] = tiles.size;
    json["tile_overlap"] = tiles.overlap;
  }
  if (schema >= 3) json["schedule"] = receipt.schedule;
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
    throw Error(ErrorCode::kInvalidArgument, "receipt: a text is not valid UTF-8");
  }
}

Receipt ReceiptFromJson(std::string_view text) {
  Json json;
  try {
    json = ParseBoundedJson(text, kReceipt);
  } catch (const JsonError& error) {
    throw Error(ErrorCode::kInvalidArgument, error.is_syntax() ? "receipt: the text is not valid JSON"
                                                               : std::string("receipt: the text ") + error.what());
  }
  return ReadReceipt(json);
}

}  // namespace diptych
