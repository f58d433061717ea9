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
Json Parse(std::string_view text, const JsonBounds& bounds) {
  CheckJsonBounds(text, bounds);
  try {
    return Json::parse(text);
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

// Which keys come twice, by events. The library's parser with a callback would do, but looks at all members of the
// parent again whenever an object or list ends.
class RepeatedKeys final : public json::json_sax_t {
 public:
  RepeatedKeys(const std::string& what, std::vector<std::string>* allowed) : what_(what), allowed_(allowed) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool start_array(size_t) override { return Open(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t, const std::string&, const json::exception&) override { return false; }  // has parsed before

  bool key(string_t& key) override {
    if (keys_.size() == 1) outermost_ = key;
    if (keys_.back().insert(key).second) return true;
    if (allowed_ != nullptr && (keys_.size() == 1 || outermost_ == "__metadata__" || outermost_ == "weight_map")) {
      allowed_->push_back(key);
      return true;
    }
    throw Error(ErrorCode::kDataLoss, what_ + ": key " + JsonExcerpt(key) + " appears twice");
  }

 private:
  bool Open() {
    keys_.emplace_back();
    return true;
  }
  bool Close() {
    keys_.pop_back();
    return true;
  }

  const std::string& what_;
  std::vector<std::string>* const allowed_;
  std::vector<std::unordered_set<std::string>> keys_;  // of each object or list that is open
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
  json parsed;
  try {
    parsed = Parse<json>(text, bounds);
  } catch (const JsonError& error) {
    throw Error(ErrorCode::kDataLoss, what + ": " + error.what());
  }
  RepeatedKeys keys(what, repeated);
  json::sax_parse(text, &keys);
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
