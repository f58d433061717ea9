#include "common/tokenizer/vocab_files.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

#include "common/error/error.h"
#include "common/tokenizer/json_field.h"
#include "common/tokenizer/tokenizer_json.h"

namespace diptych {
namespace {

std::vector<std::pair<std::string, std::string>> ReadMerges(const TextFile& file) {
  std::vector<std::pair<std::string, std::string>> merges;
  std::string_view rest = file.text;
  for (size_t line_number = 1; !rest.empty(); ++line_number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (line_number == 1 && line.starts_with("#version:"))) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      throw Error(ErrorCode::kInvalidArgument, file.name + ": line " + std::to_string(line_number) + " is " +
                                                   Quote(line) + ", expected two tokens with one space between");
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

// added_tokens_decoder of tokenizer_config.json: {"151667": {"content": "<think>", ...}, ...}
std::vector<AddedToken> ReadAddedTokensDecoder(const JsonField& config) {
  std::vector<AddedToken> tokens;
  const auto decoder = config.Find("added_tokens_decoder");
  if (!decoder) return tokens;
  decoder->ForEachMember([&](const std::string& key, const JsonField& token) {
    int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) token.Refuse("is not named by an id");
    tokens.push_back(ReadAddedToken(token, id));
  });
  return tokens;
}

// The tokens that tokenizer_config.json calls special in its other members; added_tokens.json cannot say it.
std::set<std::string> ReadSpecialContents(const JsonField& config) {
  std::set<std::string> contents;
  const auto add = [&](const JsonField& token) {
    contents.insert(token.value().is_object() ? token.At("content").String() : token.String());
  };
  for (const char* key : {"bos_token", "eos_token", "pad_token", "unk_token"}) {
    if (const auto token = config.Find(key)) add(*token);
  }
  if (const auto list = config.Find("additional_special_tokens")) {
    for (size_t i = 0; i < list->Size(); ++i) add(list->At(i));
  }
  return contents;
}

// Options of tokenizer_config.json that would change what text becomes.
void CheckConfig(const JsonField& config) {
  for (const char* key : {"add_bos_token", "add_prefix_space", "split_special_tokens"}) {
    if (const auto field = config.Find(key); field && field->Bool()) {
      field->Refuse("is true, which is not supported; expected false");
    }
  }
}

// Adds what added_tokens.json says. A token that the configuration has too must have the same id there.
void AddFromFile(const JsonField& file, const std::set<std::string>& special, std::vector<AddedToken>& tokens) {
  file.ForEachMember([&](const std::string& content, const JsonField& member) {
    const int64_t id = member.Integer();
    const auto same =
        std::find_if(tokens.begin(), tokens.end(), [&](const AddedToken& t) { return t.content == content; });
    if (same == tokens.end()) {
      tokens.push_back({id, content, special.contains(content)});
    } else if (same->id != id) {
      member.Refuse("is " + std::to_string(id) + ", but " + std::to_string(same->id) + " in tokenizer_config.json");
    }
  });
}

}  // namespace

TokenizerModel ReadVocabFiles(const VocabFiles& files) {
  TokenizerTables tables;
  const nlohmann::json vocab = ParseJson(files.vocab.text, files.vocab.name);
  tables.vocab_name = files.vocab.name;
  tables.vocab = ReadVocab(JsonField(vocab, files.vocab.name));
  tables.merges_name = files.merges.name;
  tables.merges = ReadMerges(files.merges);

  std::set<std::string> special;
  if (files.config) {
    const nlohmann::json json = ParseJson(files.config->text, files.config->name);
    const JsonField config(json, files.config->name);
    CheckConfig(config);
    tables.added_name = files.config->name + ": added_tokens_decoder";
    tables.added_tokens = ReadAddedTokensDecoder(config);
    special = ReadSpecialContents(config);
  }
  if (files.added_tokens) {
    const nlohmann::json json = ParseJson(files.added_tokens->text, files.added_tokens->name);
    if (tables.added_tokens.empty()) tables.added_name = files.added_tokens->name;
    AddFromFile(JsonField(json, files.added_tokens->name), special, tables.added_tokens);
  }
  if (tables.added_tokens.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                files.vocab.name +
                    ": no added tokens beside it, expected added_tokens_decoder in tokenizer_config.json, "
                    "or added_tokens.json");
  }
  return MakeTokenizerModel(tables);
}

}  // namespace diptych
