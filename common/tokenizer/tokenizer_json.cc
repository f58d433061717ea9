#include "common/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/json/bounded_json.h"
#include "common/tokenizer/pre_tokenizer.h"
#include "common/tokenizer/token_names.h"

namespace diptych {
namespace {

void ExpectString(const JsonPlace& field, std::string_view expected) {
  const std::string found = field.String();
  if (found != expected) field.Refuse("is " + JsonExcerpt(found) + ", expected " + JsonExcerpt(expected));
}

void ExpectFalse(const JsonPlace& field) {
  if (field.Bool()) field.Refuse("is true, which is not supported; expected false");
}

// Names of members that nobody reads and that say something, in one list for the whole file.
void NoteOthers(const JsonPlace& object, std::string_view place, std::initializer_list<std::string_view> known,
                NameList& others) {
  if (!object.value().is_object()) return;  // whoever reads it refuses it
  object.ForEachMember([&](const std::string& key, const JsonPlace& member) {
    if (member.value().is_null() || std::find(known.begin(), known.end(), key) != known.end()) return;
    others.Add(JsonExcerpt(std::string(place) + key));
  });
}

// What the tokenizers library (0.23.3) reads of these places; it passes over others, and refuses those of the root.
void NoteUnknownMembers(const JsonPlace& root, NameList& others) {
  NoteOthers(root, "",
             {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
              "decoder", "model"},
             others);
  NoteOthers(root.At("model"), "model.",
             {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
              "byte_fallback", "ignore_merges", "vocab", "merges"},
             others);
  // Steps: the members of all kinds that are read, which are few and differ.
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder"}) {
    const std::optional<JsonPlace> part = root.Find(key);
    if (!part) continue;
    const std::string place = std::string(key) + ".";
    const auto note = [&](const JsonPlace& step) {
      NoteOthers(step, place,
                 {"type", "normalizers", "pretokenizers", "processors", "pattern", "behavior", "invert",
                  "add_prefix_space", "trim_offsets", "use_regex", "single", "pair", "special_tokens"},
                 others);
    };
    note(*part);
    for (const char* list : {"normalizers", "pretokenizers", "processors"}) {
      const auto steps = part->value().is_object() ? part->Find(list) : std::nullopt;
      for (size_t i = 0; steps && steps->value().is_array() && i < steps->Size(); ++i) note(steps->At(i));
    }
  }
  if (const auto tokens = root.Find("added_tokens"); tokens && tokens->value().is_array()) {
    std::set<std::string> seen;  // one file has thousands of tokens, all alike
    for (const nlohmann::json& token : tokens->value()) {
      if (!token.is_object()) continue;
      for (const auto& [key, value] : token.items()) {
        constexpr std::string_view kKnown[] = {"id",     "content", "single_word", "lstrip",
                                               "rstrip", "special", "normalized"};
        if (std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown)) continue;
        if (seen.insert(key).second) others.Add(JsonExcerpt("added_tokens[]." + key));
      }
    }
  }
}

// transformers takes them back before each text.
void WarnOfLengths(const JsonPlace& root, std::vector<std::string>& warnings) {
  for (const char* key : {"truncation", "padding"}) {
    if (const auto field = root.Find(key)) {
      warnings.push_back(field->name() + " is set and without effect, as in transformers");
    }
  }
}

// The steps of a Sequence, those of Sequences in it among them, or the one thing itself: the same to the library.
void AddSteps(const JsonPlace& step, const char* list, std::vector<JsonPlace>& steps, int depth = 0) {
  if (step.At("type").String() != "Sequence" || depth > 8) {
    steps.push_back(step);
    return;
  }
  const JsonPlace inner = step.At(list);
  for (size_t i = 0; i < inner.Size(); ++i) AddSteps(inner.At(i), list, steps, depth + 1);
}

// Whether text is composed (NFC). Without a normaliser it is not, as in the tokenizers library, but for a tokenizer
// that calls itself Qwen2Tokenizer: transformers gives every one of these NFC, whatever its tokenizer.json says.
bool ReadNormalizer(const JsonPlace& root, const TokenFiles& beside, std::vector<std::string>& warnings) {
  std::vector<JsonPlace> steps;
  if (const auto normalizer = root.Find("normalizer")) AddSteps(*normalizer, "normalizers", steps);
  for (const JsonPlace& step : steps) ExpectString(step.At("type"), "NFC");
  if (!steps.empty()) return true;
  const bool is_qwen = TokenizerClassOf(beside).starts_with("Qwen2Tokenizer");
  warnings.push_back(root.name() + ": states no normalizer; " +
                     (is_qwen ? "text is composed (NFC) all the same, as transformers' Qwen2Tokenizer does"
                              : "text is not composed (NFC), unlike in Qwen's own tokenizer"));
  return is_qwen;
}

void CheckPreTokenizer(const JsonPlace& pre_tokenizer) {
  ExpectString(pre_tokenizer.At("type"), "Sequence");
  std::vector<JsonPlace> steps;
  AddSteps(pre_tokenizer, "pretokenizers", steps);
  if (steps.size() != 2) {
    pre_tokenizer.At("pretokenizers")
        .Refuse("has " + std::to_string(steps.size()) + " steps, expected Split and ByteLevel");
  }
  const JsonPlace& split = steps[0];
  ExpectString(split.At("type"), "Split");
  ExpectString(split.At("pattern").At("Regex"), kQwenSplitPattern);
  ExpectString(split.At("behavior"), "Isolated");
  ExpectFalse(split.At("invert"));
  const JsonPlace& byte_level = steps[1];
  ExpectString(byte_level.At("type"), "ByteLevel");
  ExpectFalse(byte_level.At("add_prefix_space"));
  ExpectFalse(byte_level.At("use_regex"));  // missing would mean true
}

// ByteLevel trims offsets, which nobody asks us for. A template may only repeat the text.
void CheckPostProcessor(const JsonPlace& post_processor, int depth = 0) {
  const JsonPlace type = post_processor.At("type");
  if (type.String() == "ByteLevel") return;
  if (type.String() == "Sequence" && depth < 8) {
    const JsonPlace steps = post_processor.At("processors");
    for (size_t i = 0; i < steps.Size(); ++i) CheckPostProcessor(steps.At(i), depth + 1);
    return;
  }
  if (type.String() != "TemplateProcessing") {
    type.Refuse("is " + JsonExcerpt(type.String()) + ", expected ByteLevel or a TemplateProcessing that adds no token");
  }
  const JsonPlace single = post_processor.At("single");
  for (size_t i = 0; i < single.Size(); ++i) {
    if (!single.At(i).Find("Sequence")) single.At(i).Refuse("adds a token, which is not supported");
  }
}

void CheckModel(const JsonPlace& model) {
  if (model.value().is_object() && model.value().contains("type")) ExpectString(model.At("type"), "BPE");
  if (const auto dropout = model.Find("dropout"); dropout && dropout->value() != 0) {
    dropout->Refuse("is not supported, expected null");
  }
  // Of text for which there is no token, and every byte has one (MakeTokenizerModel): they decide nothing.
  if (const auto unknown = model.Find("unk_token")) (void)unknown->String();
  for (const char* key : {"fuse_unk", "byte_fallback"}) {
    if (const auto field = model.Find(key)) (void)field->Bool();
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (const auto field = model.Find(key)) ExpectString(*field, "");
  }
  if (const auto field = model.Find("ignore_merges")) ExpectFalse(*field);
}

// "left right" or ["left", "right"]; both occur in files of one library version or another.
std::pair<std::string, std::string> ReadMerge(const JsonPlace& merge) {
  if (merge.value().is_array()) {
    if (merge.Size() != 2) merge.Refuse("has " + std::to_string(merge.Size()) + " parts, expected two");
    return {merge.At(size_t{0}).String(), merge.At(size_t{1}).String()};
  }
  const std::string text = merge.String();
  auto sides = SplitMerge(text);
  if (!sides) merge.Refuse("is " + JsonExcerpt(text) + ", expected two tokens with one space between");
  return std::move(*sides);
}

}  // namespace

std::vector<std::pair<std::string, int64_t>> ReadVocab(const JsonPlace& vocab) {
  std::vector<std::pair<std::string, int64_t>> tokens;
  vocab.ForEachMember([&](const std::string& token, const JsonPlace& id) { tokens.emplace_back(token, id.Integer()); });
  return tokens;
}

AddedToken ReadAddedToken(const JsonPlace& token, int64_t id) {
  const auto flag = [&](const char* key, bool fallback) {
    const auto field = token.Find(key);
    return field ? field->Bool() : fallback;
  };
  AddedToken added{.id = id, .content = token.At("content").String(), .special = flag("special", false)};
  added.lstrip = flag("lstrip", false);
  added.rstrip = flag("rstrip", false);
  added.single_word = flag("single_word", false);
  added.normalized = flag("normalized", !added.special);  // the library's default
  return added;
}

TokenizerModel ReadTokenizerJson(std::string_view text, const std::string& name, const TokenFiles& beside) {
  const nlohmann::json json = ParseJson(text, name);
  const JsonPlace root(json, name);
  std::vector<std::string> warnings;
  const bool composes = ReadNormalizer(root, beside, warnings);
  CheckPreTokenizer(root.At("pre_tokenizer"));
  if (const auto post_processor = root.Find("post_processor")) CheckPostProcessor(*post_processor);
  if (const auto decoder = root.Find("decoder"))
    ExpectString(decoder->At("type"), "ByteLevel");  // for showing text only
  const JsonPlace model = root.At("model");
  CheckModel(model);
  WarnOfLengths(root, warnings);
  NameList others;
  NoteUnknownMembers(root, others);
  if (!others.empty()) warnings.push_back(name + ": not known here and without effect: " + others.text());

  const JsonPlace vocab = model.At("vocab"), merges = model.At("merges");
  TokenizerTables tables{vocab.name(), ReadVocab(vocab), merges.name(), {}, {}};
  for (size_t i = 0; i < merges.Size(); ++i) tables.merges.push_back(ReadMerge(merges.At(i)));
  TokenizerJsonTokens own{name + ": added_tokens", {}};
  if (const auto added_tokens = root.Find("added_tokens")) {
    if (added_tokens->Size() > kMostAddedTokens) {
      added_tokens->Refuse("has more than " + std::to_string(kMostAddedTokens) + " tokens");
    }
    for (size_t i = 0; i < added_tokens->Size(); ++i) {
      const JsonPlace token = added_tokens->At(i);
      own.tokens.push_back(ReadAddedToken(token, token.At("id").Integer()));
    }
  }
  tables.added = CollectAddedTokens(own, beside);
  TokenizerModel made = MakeTokenizerModel(tables);
  made.composes = composes;
  made.warnings.insert(made.warnings.begin(), warnings.begin(), warnings.end());
  return made;
}

}  // namespace diptych
