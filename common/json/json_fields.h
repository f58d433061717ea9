// The fields of one JSON object, read by name and type. One reader for what other programs, or older ones of ours,
// wrote: each mistake is named with its field and with what would be right.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// All throw Error(kInvalidArgument): `what`, the field and what it must be: "receipt: \"steps\" must be a whole number
// from 1 to 1000". The object must outlive the reader. Not thread-safe.
class JsonFields {
 public:
  // Whether a field that is null is one that is missing: other programs write null where there is nothing to say.
  enum class Null { kIsAValue, kIsMissing };

  // `what` leads every message; empty: nothing does. `name` is that of the object inside of others: "prompt".
  JsonFields(const nlohmann::json& object, std::string what, std::string name = "", Null null = Null::kIsAValue);

  // Null for a field that is not there.
  const nlohmann::json* Find(std::string_view field);
  bool Has(std::string_view field) { return Find(field) != nullptr; }

  // Throw for a field that is not there, too.
  std::string Text(std::string_view field);
  bool Flag(std::string_view field);
  double Number(std::string_view field, double least = std::numeric_limits<double>::lowest(),
                double most = std::numeric_limits<double>::max());
  int64_t Whole(std::string_view field, int64_t least, int64_t most);
  uint64_t Unsigned(std::string_view field, uint64_t least, uint64_t most);
  std::string OneOf(std::string_view field, const std::vector<std::string>& choices);
  std::string Hash(std::string_view field);  // 64 lower-case hexadecimal digits
  JsonFields Object(std::string_view field);

  // Of what is missing the text is empty, and an empty one is no mistake.
  std::string OptionalText(std::string_view field) { return Has(field) ? Text(field) : ""; }
  std::string OptionalHash(std::string_view field) { return OptionalText(field).empty() ? "" : Hash(field); }
  bool OptionalFlag(std::string_view field) { return Has(field) && Flag(field); }
  int64_t OptionalWhole(std::string_view field, int64_t least, int64_t most, int64_t fallback) {
    return Has(field) ? Whole(field, least, most) : fallback;
  }

  // Throws for a field that nobody asked for. Call it last.
  void RefuseUnknown() const;

  [[noreturn]] void Refuse(const std::string& message) const;
  // "..., the field WHY": for what only its reader can judge.
  [[noreturn]] void RefuseField(std::string_view field, const std::string& why) const;

 private:
  std::string Quoted(std::string_view field) const;
  const nlohmann::json& Required(std::string_view field);
  [[noreturn]] void Wrong(std::string_view field, const std::string& right) const;

  const nlohmann::json& object_;
  const std::string what_, name_;
  const Null null_;
  std::set<std::string, std::less<>> asked_;
};

}  // namespace diptych
