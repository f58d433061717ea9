#include "common/json/bounded_json.h"

#include <algorithm>
#include <array>
#include <new>
#include <unordered_set>

namespace diptych {
namespace {

using nlohmann::json;

constexpr size_t kMostDepth = 256;            // of any bounds
constexpr size_t kMostOrderedMembers = 5000;  // 12 million comparisons

[[noreturn]] void BeyondBound(const std::string& what) { throw JsonError(what, false, "", 0); }

[[noreturn]] void BadSyntax(const std::string& mistake, size_t byte) {
  throw JsonError("not valid JSON: " + mistake, true, mistake, byte);
}

template <typename Json>
Json Parse(std::string_view text, const JsonBounds& bounds, const typename Json::parser_callback_t& visit = nullptr) {
  CheckJsonBounds(text, bounds);
  try {
    return Json::parse(text.begin(), text.end(), visit);
  } catch (const typename Json::parse_error& error) {
    // Bytes count from 1.
    BadSyntax(error.byte > text.size() ? "it ends too early" : "wrong at byte " + std::to_string(error.byte),
              error.byte);
  } catch (const typename Json::exception&) {  // beyond a double's range
    BadSyntax("a number is out of range", 0);
  } catch (const std::bad_alloc&) {
    BeyondBound("there is not enough memory for it");
  }
}

// Which keys come twice. A level is an open object or list.
class RepeatedKeys {
 public:
  RepeatedKeys(const std::string& what, std::vector<std::string>* allowed) : what_(what), allowed_(allowed) {}

  bool Visit(json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) keys_.emplace_back();
    if (event == json::parse_event_t::object_end || event == json::parse_event_t::array_end) keys_.pop_back();
    if (event == json::parse_event_t::key) VisitKey(value);
    return true;
  }

 private:
  void VisitKey(json& value) {
    const auto& key = value.get_ref<const std::string&>();
    if (keys_.size() == 1) outermost_ = key;
    if (keys_.back().insert(key).second) return;
    if (allowed_ != nullptr && (keys_.size() == 1 || outermost_ == "__metadata__" || outermost_ == "weight_map")) {
      allowed_->push_back(key);
      return;
    }
    throw Error(ErrorCode::kDataLoss, what_ + ": key " + JsonExcerpt(value) + " appears twice");
  }

  const std::string& what_;
  std::vector<std::string>* const allowed_;
  std::vector<std::unordered_set<std::string>> keys_;  // of each level
  std::string outermost_;                              // the last key of the outermost object
};

}  // namespace

void CheckJsonBounds(std::string_view text, const JsonBounds& bounds) {
  if (text.size() > bounds.bytes) {
    BeyondBound("has " + std::to_string(text.size()) + " bytes, expected at most " + std::to_string(bounds.bytes));
  }
  const size_t most_depth = std::min(bounds.depth, kMostDepth);
  std::array<size_t, kMostDepth + 1> members = {};  // of the objects and lists that are open
  size_t depth = 0, values = 1;
  const auto count = [&] {
    if (++values > bounds.values) BeyondBound("holds more than " + std::to_string(bounds.values) + " values");
    if (++members[depth] > bounds.members) {
      BeyondBound("holds more than " + std::to_string(bounds.members) + " values in one object or list");
    }
  };
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > most_depth) BeyondBound("nested deeper than " + std::to_string(most_depth) + " levels");
      members[depth] = 0;
      count();
    } else if (c == ']' || c == '}') {
      if (depth > 0) --depth;
    } else if (c == ',') {
      count();
    }
  }
}

json ParseBoundedJson(std::string_view text, const JsonBounds& bounds) { return Parse<json>(text, bounds); }

nlohmann::ordered_json ParseOrderedJson(std::string_view text, const JsonBounds& bounds) {
  JsonBounds ordered = bounds;
  ordered.members = std::min(bounds.members, kMostOrderedMembers);
  return Parse<nlohmann::ordered_json>(text, ordered);
}

json JsonOrDiscarded(std::string_view text, const JsonBounds& bounds) {
  try {
    return ParseBoundedJson(text, bounds);
  } catch (const JsonError&) {
    return json(json::value_t::discarded);
  }
}

json ParseStrictJson(std::string_view text, const std::string& what, const JsonBounds& bounds,
                     std::vector<std::string>* repeated) {
  RepeatedKeys keys(what, repeated);
  const auto visit = [&](int, json::parse_event_t event, json& value) { return keys.Visit(event, value); };
  json parsed;
  try {
    parsed = Parse<json>(text, bounds, visit);
  } catch (const JsonError& error) {
    throw Error(ErrorCode::kDataLoss, what + ": " + error.what());
  }
  if (!parsed.is_object()) throw Error(ErrorCode::kDataLoss, what + ": expected a JSON object");
  return parsed;
}

std::string JsonExcerpt(const json& value) {
  constexpr size_t kMost = 200;
  // A long one is cut before it is written out, not behind.
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMost) {
    return json(value.get_ref<const std::string&>().substr(0, kMost))
        .dump(-1, ' ', true, json::error_handler_t::replace)
        .substr(0, kMost);
  }
  if (value.is_structured() && value.size() > kMost) return value.is_object() ? "an object" : "a list";
  return value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, kMost);
}

}  // namespace diptych
