#include "common/tokenizer/token_files.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/tokenizer/token_names.h"
#include "common/tokenizer/tokenizer_json.h"

namespace diptych {
namespace {

using nlohmann::json;

// In this order they get ids.
constexpr std::string_view kNamedTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token"};

// Members of tokenizer_config.json that say nothing about which tokens a text becomes.
constexpr std::string_view kHarmless[] = {"chat_template",
                                          "clean_up_tokenization_spaces",  // of decoded text
                                          "errors",
                                          "model_max_length",
                                          "tokenizer_class",
                                          "processor_class",
                                          "name_or_path",
                                          "special_tokens_map_file",
                                          "tokenizer_file",
                                          "backend",
                                          "is_local",
                                          "local_files_only",
                                          "legacy",
                                          "use_fast",
                                          "fast_tokenizer_files",
                                          "auto_map",
                                          "model_input_names",
                                          "padding_side",
                                          "pad_to_multiple_of",
                                          "pad_token_type_id",
                                          "truncation_side",
                                          "truncation_strategy",
                                          "max_length",
                                          "stride",
                                          "return_token_type_ids",
                                          "fix_mistral_regex",
                                          "_commit_hash"};

// Of which transformers makes the tokenizer that is read here: Qwen's own, and those that take tokenizer.json as it is.
constexpr std::string_view kOurClasses[] = {"Qwen2Tokenizer", "Qwen2TokenizerFast", "PreTrainedTokenizerFast",
                                            "TokenizersBackend"};

bool IsOneOf(std::span<const std::string_view> list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

AddedToken* FindToken(std::vector<AddedToken>& tokens, const std::string& content) {
  const auto found =
      std::find_if(tokens.begin(), tokens.end(), [&](const AddedToken& t) { return t.content == content; });
  return found == tokens.end() ? nullptr : &*found;
}

// "<x>" or {"content": "<x>", ...}; its flags do not count.
std::string ContentOf(const JsonPlace& token) {
  return token.value().is_object() ? token.At("content").String() : token.String();
}

void CheckCount(const JsonPlace& tokens) {
  if (tokens.value().size() <= kMostAddedTokens) return;
  tokens.Refuse("has more than " + std::to_string(kMostAddedTokens) + " tokens");
}

// added_tokens_decoder: {"151667": {"content": "<think>", ...}, ...}
std::vector<AddedToken> ReadDecoder(const JsonPlace& decoder) {
  std::vector<AddedToken> tokens;
  CheckCount(decoder);
  decoder.ForEachMember([&](const std::string& key, const JsonPlace& token) {
    int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) token.Refuse("is not named by an id");
    tokens.push_back(ReadAddedToken(token, id));
  });
  return tokens;
}

// The special tokens that files name, each with its text.
struct SpecialTokens {
  std::vector<std::pair<std::string, std::string>> named;  // "eos_token": "<|im_end|>", in the order of kNamedTokens
  std::vector<std::string> others;

  std::set<std::string> All() const {
    std::set<std::string> all(others.begin(), others.end());
    for (const auto& [key, content] : named) all.insert(content);
    return all;
  }
};

void Name(SpecialTokens& special, std::string_view key, const std::string& content) {
  for (auto& [known, old] : special.named) {
    if (known == key) {
      old = content;
      return;
    }
  }
  special.named.emplace_back(key, content);
}

// The keys of a JSON object as the text has them; JsonPlace has them sorted.
std::vector<std::string> KeysInOrder(const nlohmann::ordered_json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

// Of a text that has been parsed already.
nlohmann::ordered_json ParseOrdered(const std::string& text, const std::string& name) {
  try {
    return ParseOrderedJson(text, {.bytes = kTokenizerJson.bytes});
  } catch (const JsonError& error) {
    throw Error(ErrorCode::kDataLoss, name + ": " + error.what());
  }
}

// `object` is what `text` holds.
void ReadSpecial(const JsonPlace& object, const std::string& text, SpecialTokens& special) {
  const nlohmann::ordered_json ordered = ParseOrdered(text, object.name());
  for (const std::string_view key : kNamedTokens) {
    if (const auto token = object.Find(std::string(key))) Name(special, key, ContentOf(*token));
  }
  for (const std::string& key : KeysInOrder(ordered)) {
    if (!key.ends_with("_token") || IsOneOf(kNamedTokens, key)) continue;
    const auto token = object.Find(key);
    if (!token) continue;
    const bool is_token = token->value().is_string() || (token->value().is_object() && token->Find("content"));
    if (is_token) special.others.push_back(ContentOf(*token));
  }
  for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
    const auto list = object.Find(key);
    if (!list || list->value().empty()) continue;
    CheckCount(*list);
    if (list->value().is_object()) {
      for (const std::string& name : KeysInOrder(ordered[key])) special.others.push_back(ContentOf(list->At(name)));
    } else {
      for (size_t i = 0; i < list->Size(); ++i) special.others.push_back(ContentOf(list->At(i)));
    }
    break;  // the older name counts where the newer one says nothing
  }
}

// transformers 5.23 drops add_bos_token and add_eos_token where there is a tokenizer.json, and where the token that
// would be added is null. Its Qwen2Tokenizer has <|endoftext|> for an eos_token that is not stated at all.
void CheckWhatIsAdded(const JsonPlace& config, bool has_tokenizer_json, std::vector<std::string>& warnings) {
  constexpr struct {
    const char *key, *token;
    bool has_default;
  } kAdded[] = {{"add_bos_token", "bos_token", false}, {"add_eos_token", "eos_token", true}};
  for (const auto& [key, token, has_default] : kAdded) {
    const auto field = config.Find(key);
    if (!field || !field->Bool()) continue;
    const bool has_token = config.Find(token) || (has_default && !config.value().contains(token));
    if (!has_tokenizer_json && has_token) field->Refuse("is true, which is not supported; expected false");
    warnings.push_back(field->name() + " is true and without effect, as in transformers: " +
                       (has_tokenizer_json ? "tokenizer.json says what is added, and adds nothing"
                                           : std::string(token) + " names no token"));
  }
}

// Options that would change what text becomes.
void CheckOptions(const JsonPlace& config, bool has_tokenizer_json, std::vector<std::string>& warnings) {
  for (const char* key : {"add_prefix_space", "split_special_tokens"}) {
    if (const auto field = config.Find(key); field && field->Bool()) {
      field->Refuse("is true, which is not supported; expected false");
    }
  }
  CheckWhatIsAdded(config, has_tokenizer_json, warnings);
  if (const auto field = config.Find("tokenizer_class"); field && !IsOneOf(kOurClasses, field->String())) {
    warnings.push_back(field->name() + " is " + JsonExcerpt(field->String()) + "; it is read as " +
                       (has_tokenizer_json ? "tokenizer.json says" : "a Qwen2Tokenizer"));
  }
}

std::string UnknownMembers(const JsonPlace& config) {
  NameList keys;
  config.ForEachMember([&](const std::string& key, const JsonPlace& member) {
    constexpr std::string_view kRead[] = {"added_tokens_decoder", "extra_special_tokens", "additional_special_tokens",
                                          "add_prefix_space",     "split_special_tokens", "add_bos_token",
                                          "add_eos_token"};
    if (member.value().is_null() || key.ends_with("_token") || IsOneOf(kRead, key) || IsOneOf(kHarmless, key)) return;
    keys.Add(JsonExcerpt(key));
  });
  return keys.text();
}

// Of added_tokens.json beside a file that has the last word.
void WarnOfIgnored(const JsonPlace& file, std::vector<AddedToken>& tokens, std::vector<std::string>& warnings) {
  NameList ignored;
  file.ForEachMember([&](const std::string& content, const JsonPlace&) {
    if (FindToken(tokens, content) == nullptr) ignored.Add(JsonExcerpt(content));
  });
  if (!ignored.empty()) {
    warnings.push_back(file.name() + ": " + ignored.text() +
                       " are no tokens: added_tokens_decoder of tokenizer_config.json has the last word, as in "
                       "transformers");
  }
}

void AddFromFile(const JsonPlace& file, const std::set<std::string>& special, std::vector<AddedToken>& tokens) {
  file.ForEachMember([&](const std::string& content, const JsonPlace& member) {
    const int64_t id = member.Integer();
    if (const AddedToken* same = FindToken(tokens, content); same == nullptr) {
      const bool is_special = special.contains(content);
      tokens.push_back({.id = id, .content = content, .special = is_special, .normalized = !is_special});
    } else if (same->id != id) {
      member.Refuse("is " + std::to_string(id) + ", but " + std::to_string(same->id) + " in the other files");
    }
  });
}

}  // namespace

std::string TokenizerClassOf(const TokenFiles& files) {
  if (!files.config) return "";
  const json object = ParseJson(files.config->text, files.config->name);
  const auto field = JsonPlace(object, files.config->name).Find("tokenizer_class");
  return field ? field->String() : "";
}

AddedTokenList CollectAddedTokens(const TokenizerJsonTokens& own, const TokenFiles& files) {
  AddedTokenList list{own.name, {}, {}};
  SpecialTokens special;
  std::optional<std::vector<AddedToken>> decoder;
  if (files.config) {
    const json object = ParseJson(files.config->text, files.config->name);
    const JsonPlace config(object, files.config->name);
    CheckOptions(config, /*has_tokenizer_json=*/!own.name.empty(), list.warnings);
    if (const auto field = config.Find("added_tokens_decoder")) decoder = ReadDecoder(*field);
    ReadSpecial(config, files.config->text, special);
    if (const std::string unknown = UnknownMembers(config); !unknown.empty()) {
      list.warnings.push_back(files.config->name + ": not known here and without effect: " + unknown);
    }
    if (decoder && (own.name.empty() || !decoder->empty())) list.name = files.config->name + ": added_tokens_decoder";
  }
  if (decoder) list.tokens = *decoder;
  NameList alone;
  for (const AddedToken& token : own.tokens) {
    if (decoder && FindToken(*decoder, token.content) != nullptr) continue;
    list.tokens.push_back(token);
    if (decoder) alone.Add(JsonExcerpt(token.content));
  }
  if (!alone.empty()) {
    list.warnings.push_back(
        own.name + ": " + alone.text() +
        " stand here alone and not in tokenizer_config.json; they are tokens here, for transformers "
        "5 they are text");
  }
  if (!decoder && files.special_tokens_map) {
    const json object = ParseJson(files.special_tokens_map->text, files.special_tokens_map->name);
    ReadSpecial(JsonPlace(object, files.special_tokens_map->name), files.special_tokens_map->text, special);
  }
  if (files.added_tokens) {
    const json object = ParseJson(files.added_tokens->text, files.added_tokens->name);
    const JsonPlace file(object, files.added_tokens->name);
    CheckCount(file);
    if (list.tokens.empty()) list.name = files.added_tokens->name;
    if (decoder) {
      WarnOfIgnored(file, list.tokens, list.warnings);
    } else {
      AddFromFile(file, special.All(), list.tokens);
    }
  }
  std::stable_sort(list.tokens.begin(), list.tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  const auto add_special = [&](const std::string& content) {
    if (content.empty()) return;
    if (AddedToken* known = FindToken(list.tokens, content)) {
      known->special = true;
    } else {
      list.tokens.push_back({.id = AddedToken::kNextFree, .content = content, .special = true});
    }
  };
  for (const std::string_view key : kNamedTokens) {
    for (const auto& [name, content] : special.named) {
      if (name == key) add_special(content);
    }
  }
  for (const std::string& content : special.others) add_special(content);
  return list;
}

}  // namespace diptych
