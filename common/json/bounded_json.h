// JSON that somebody else wrote, from a file or from a peer, within bounds: it is looked over in linear time before the
// library sees it, so that neither its depth nor its size decides how much stack, memory and time it takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error/error.h"

namespace diptych {

struct JsonBounds {
  size_t bytes = size_t{4} << 20;
  size_t depth = 64;            // of objects and lists in each other
  size_t values = 200'000;      // of all kinds; one takes up to some 200 bytes of memory
  size_t members = 10'000'000;  // of one object or list
};

// The greatest files that are read have 11 MB and 610 000 values (Qwen's tokenizer.json).
inline constexpr JsonBounds kTokenizerJson{.bytes = size_t{64} << 20, .values = 1'000'000};

// A text that is no JSON, or beyond the bounds. what() is the end of a line, without a name in front: "not valid JSON:
// it ends too early", "nested deeper than 64 levels".
class JsonError : public Error {
 public:
  JsonError(const std::string& what, bool is_syntax, std::string mistake, size_t byte)
      : Error(ErrorCode::kInvalidArgument, what), is_syntax_(is_syntax), mistake_(std::move(mistake)), byte_(byte) {}

  bool is_syntax() const { return is_syntax_; }            // else beyond a bound
  const std::string& mistake() const { return mistake_; }  // of syntax: "it ends too early", "wrong at byte 7"
  size_t byte() const { return byte_; }                    // of syntax, from 1; 0: not known

 private:
  bool is_syntax_;
  std::string mistake_;
  size_t byte_;
};

// Throws JsonError for a text beyond the bounds. Whether it is JSON is for the parser.
void CheckJsonBounds(std::string_view text, const JsonBounds& bounds);

// Throw JsonError. The ordered form keeps the order of an object's keys, and looks up each of them in time that grows
// with their number: 5000 in one object at most, whatever the bounds.
nlohmann::json ParseBoundedJson(std::string_view text, const JsonBounds& bounds = {});
nlohmann::ordered_json ParseOrderedJson(std::string_view text, const JsonBounds& bounds = {});

// A discarded value, which is of no type, in place of an error.
nlohmann::json JsonOrDiscarded(std::string_view text, const JsonBounds& bounds = {});

// The same for what must be one object. Unlike the parsers above it refuses a repeated key, where readers would
// disagree about which value counts. With `repeated` keys of the outermost object and of its "__metadata__" or
// "weight_map" may come again, as in the reference's reader: the last counts, and their names are added to it. Throws
// Error(kDataLoss); the message begins with `what`, e.g. the file's name.
nlohmann::json ParseStrictJson(std::string_view text, const std::string& what, const JsonBounds& bounds,
                               std::vector<std::string>* repeated = nullptr);

// The value as a message shows it: ASCII, at most 200 bytes.
std::string JsonExcerpt(const nlohmann::json& value);

}  // namespace diptych
