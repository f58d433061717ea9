#include "render_node/jobs/job_json.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "common/error/error.h"
#include "common/picture/picture_json.h"

namespace diptych {
namespace {

using Json = nlohmann::json;

template <typename T>
void Put(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

template <typename T>
void Take(const Json& json, const char* key, T& value) {
  if (const auto found = json.find(key); found != json.end()) value = found->template get<T>();
}

template <typename T>
void Take(const Json& json, const char* key, std::optional<T>& value) {
  if (const auto found = json.find(key); found != json.end()) value = found->template get<T>();
}

// null is how JSON writes a number that is not finite: a time that nobody knows.
double MsOf(const Json& value) { return value.is_null() ? 0 : value.get<double>(); }

void TakeMs(const Json& json, const char* key, double& ms) {
  if (const auto found = json.find(key); found != json.end()) ms = MsOf(*found);
}

void TakeMs(const Json& json, const char* key, std::vector<double>& ms) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  for (const Json& value : found->get_ref<const Json::array_t&>()) ms.push_back(MsOf(value));
}

}  // namespace

// Found by nlohmann-json through the type's namespace.
void to_json(Json& json, const PromptFit& fit) { json = {{"token_count", fit.token_count}, {"rows", fit.rows}}; }

void from_json(const Json& json, PromptFit& fit) {
  Take(json, "token_count", fit.token_count);
  Take(json, "rows", fit.rows);
}

std::string SpecToJson(const JobSpec& spec) {
  nlohmann::ordered_json members;
  PutMembers(spec, members);
  Json json = Json(members);
  json["client"] = spec.client;
  json["priority"] = spec.priority;
  if (!spec.idempotency_key.empty()) json["idempotency_key"] = spec.idempotency_key;
  if (spec.timeout_ms != 0) json["timeout_ms"] = spec.timeout_ms;
  return json.dump();
}

std::optional<std::string> ShortenedJson(JobSpec spec) {
  if (!ShortenPrompts(spec)) return std::nullopt;
  return SpecToJson(spec);
}

std::optional<std::string> InsideOfJson(const std::string& text) {
  try {
    const std::string quoted = Json(text).dump();
    return quoted.substr(1, quoted.size() - 2);
  } catch (const Json::type_error&) {
    return std::nullopt;
  }
}

JobSpec SpecFromJson(std::string_view text) try {
  const Json json = Json::parse(text);
  JobSpec spec;
  JsonFields fields(json, "");
  // Earlier versions wrote no layer where nobody chose one.
  TakeMembers(fields, std::numeric_limits<int>::max(), spec, {members::kLayer.name});
  Take(json, "client", spec.client);
  Take(json, "priority", spec.priority);
  Take(json, "idempotency_key", spec.idempotency_key);
  Take(json, "timeout_ms", spec.timeout_ms);
  return spec;
} catch (const std::exception& error) {
  throw Error(ErrorCode::kDataLoss, std::string("a stored job specification is damaged: ") + error.what());
}

std::string TimingsToJson(const JobTimings& timings) {
  const Json json = {{"queue_ms", timings.queue_ms},       {"encode_ms", timings.encode_ms},
                     {"transfer_ms", timings.transfer_ms}, {"refine_ms", timings.refine_ms},
                     {"step_ms", timings.step_ms},         {"decode_ms", timings.decode_ms},
                     {"png_ms", timings.png_ms},           {"total_ms", timings.total_ms}};
  return json.dump();
}

JobTimings TimingsFromJson(std::string_view text) try {
  const Json json = Json::parse(text);
  JobTimings timings;
  TakeMs(json, "queue_ms", timings.queue_ms);
  TakeMs(json, "encode_ms", timings.encode_ms);
  TakeMs(json, "transfer_ms", timings.transfer_ms);
  TakeMs(json, "refine_ms", timings.refine_ms);
  TakeMs(json, "step_ms", timings.step_ms);
  TakeMs(json, "decode_ms", timings.decode_ms);
  TakeMs(json, "png_ms", timings.png_ms);
  TakeMs(json, "total_ms", timings.total_ms);
  return timings;
} catch (const std::exception& error) {
  throw Error(ErrorCode::kDataLoss, std::string("stored job timings are damaged: ") + error.what());
}

std::string FitsToJson(const PromptFits& fits) {
  Json json = Json::object();
  Put(json, "prompt", fits.prompt);
  Put(json, "negative", fits.negative);
  return json.dump();
}

PromptFits FitsFromJson(std::string_view text) try {
  const Json json = Json::parse(text);
  PromptFits fits;
  Take(json, "prompt", fits.prompt);
  Take(json, "negative", fits.negative);
  return fits;
} catch (const std::exception& error) {
  throw Error(ErrorCode::kDataLoss, std::string("the stored fit of a job's prompts is damaged: ") + error.what());
}

}  // namespace diptych
