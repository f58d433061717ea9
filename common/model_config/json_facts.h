// Reading the config.json of a checkpoint: typed, with errors that name file and key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace diptych {

// An object of a configuration file. A null value counts as missing. Every method throws Error(kInvalidArgument) with a
// message "FILE: \"KEY\" ..." when the value is missing (and there is no default) or of the wrong type or range.
class JsonFacts {
 public:
  // Parses text, which must be a JSON object; `name` is the file's name for messages.
  JsonFacts(const std::string& text, const std::string& name);
  ~JsonFacts();
  JsonFacts(JsonFacts&&) noexcept;

  bool Has(const std::string& key) const;
  int64_t Positive(const std::string& key) const;                    // 1 to 2^31 - 1
  int64_t Positive(const std::string& key, int64_t fallback) const;  // the same, or missing
  double Number(const std::string& key) const;                       // finite
  double Number(const std::string& key, double fallback) const;
  bool Bool(const std::string& key, bool fallback) const;
  std::string Text(const std::string& key) const;
  std::vector<int64_t> PositiveList(const std::string& key) const;  // not empty
  JsonFacts Object(const std::string& key) const;

  // The model code supports one value of this key only.
  void Require(const std::string& key, const std::string& value) const;
  void RequireIfPresent(const std::string& key, const std::string& value) const;
  void RequireIfPresent(const std::string& key, bool value) const;

  [[noreturn]] void Refuse(const std::string& key, const std::string& why) const;

 private:
  struct Data;
  explicit JsonFacts(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

// config.json in the folder `checkpoint`, or beside the file of that name. Throws Error(kNotFound) when there is no
// such folder or file.
std::string ConfigFileOf(const std::string& checkpoint);

// The whole file, at most 16 MiB; throws what ReadWholeFile throws.
std::string ReadTextFile(const std::string& path);

}  // namespace diptych
