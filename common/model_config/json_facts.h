// Reading the config.json of a checkpoint: typed, with errors that name file and key.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/source_files/model_part.h"

namespace diptych {

// An object of a configuration file. A null value counts as missing. Every method throws Error(kInvalidArgument) with a
// message "FILE: \"KEY\" ..." when the value is missing (and there is no default) or of the wrong type or range.
class JsonFacts {
 public:
  // Parses text, which must be a JSON object; `name` is the file's name for messages.
  JsonFacts(const std::string& text, const std::string& name);
  ~JsonFacts();
  JsonFacts(JsonFacts&&) noexcept;

  // The object's own name in messages: the file, for an inner object with its key.
  const std::string& name() const;

  bool Has(const std::string& key) const;
  bool IsEmpty() const;                                              // without any key
  bool IsNull(const std::string& key) const;                         // stated, as null
  int64_t Positive(const std::string& key) const;                    // 1 to 2^31 - 1
  int64_t Positive(const std::string& key, int64_t fallback) const;  // the same, or missing
  double Number(const std::string& key) const;                       // finite
  double Number(const std::string& key, double fallback) const;
  bool Bool(const std::string& key, bool fallback) const;
  std::string Text(const std::string& key) const;
  std::string Text(const std::string& key, const std::string& fallback) const;
  std::vector<int64_t> PositiveList(const std::string& key) const;  // not empty
  std::vector<int64_t> PositiveList(const std::string& key, std::vector<int64_t> fallback) const;
  std::vector<std::string> TextList(const std::string& key) const;  // may be empty
  JsonFacts Object(const std::string& key) const;

  // The model code supports one value of this key only.
  void Require(const std::string& key, const std::string& value) const;
  void RequireIfPresent(const std::string& key, const std::string& value) const;
  void RequireIfPresent(const std::string& key, bool value) const;

  // One line naming the keys that nobody has asked for so far and that are not among `harmless`; empty: there are none.
  // Call it last. A key whose value is null counts as missing here, too.
  std::string UnknownKeysWarning(std::span<const std::string_view> harmless) const;

  // One line when the file says "_class_name" and that is another class than the one that it is read as; else empty.
  std::string OtherClassWarning(const std::string& read_as) const;

  [[noreturn]] void Refuse(const std::string& key, const std::string& why) const;

 private:
  struct Data;
  explicit JsonFacts(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

// Keys of files that transformers and diffusers write and that say nothing about numbers: who made it, and from what.
inline constexpr std::string_view kBookkeepingKeys[] = {"_name_or_path",        "_class_name",   "_diffusers_version",
                                                        "transformers_version", "architectures", "_commit_hash"};

// The config.json of a part: of a folder `path` the one in it; of a file of weights the one beside it, unless that one
// is of another part, else the one of that part in the folder of a whole model, `model_path` (may be empty), else "":
// the file speaks for itself. Throws Error(kNotFound) when there is no such folder or file, or no config.json in the
// folder.
std::string ConfigFileOf(const std::string& path, ModelPart part, const std::string& model_path);

// The whole file, at most 4 MiB; throws what ReadWholeFile throws.
std::string ReadTextFile(const std::string& path);

}  // namespace diptych
