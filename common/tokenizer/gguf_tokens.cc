#include "common/tokenizer/gguf_tokens.h"

#include <unordered_map>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

enum TokenType : int64_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

std::string NameOf(const GgufTokens& given, const char* key) { return given.name + ": metadata tokenizer.ggml." + key; }

[[noreturn]] void Refuse(const GgufTokens& given, const char* key, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, NameOf(given, key) + " " + reason);
}

void Expect(const GgufTokens& given, const char* key, const std::optional<std::string_view>& found,
            const std::string& expected) {
  if (found == expected) return;
  Refuse(given, key,
         "is " + (found ? JsonExcerpt(*found) : std::string("missing")) + ", expected " + JsonExcerpt(expected) +
             ": give the tokenizer's own folder");
}

void CheckIds(const GgufTokens& given) {
  const std::pair<const char*, std::optional<int64_t>> ids[] = {
      {"bos_token_id", given.bos_id}, {"eos_token_id", given.eos_id}, {"padding_token_id", given.padding_id}};
  for (const auto& [key, id] : ids) {
    if (id && (*id < 0 || *id >= static_cast<int64_t>(given.tokens.size()))) {
      Refuse(given, key, "is " + std::to_string(*id) + ", expected 0 to " + std::to_string(given.tokens.size() - 1));
    }
  }
  for (const auto& [key, adds] : {std::pair("add_bos_token", given.adds_bos), {"add_eos_token", given.adds_eos}}) {
    if (adds) Refuse(given, key, "is true, which is not supported; expected false");
  }
}

bool IsAdded(int64_t type) { return type == kControl || type == kUserDefined; }

// Every token of a type that we know, in UTF-8, and its text once among the first `count`.
void CheckTokens(const GgufTokens& given, size_t count) {
  std::unordered_map<std::string_view, size_t> ids;
  ids.reserve(count);
  for (size_t id = 0; id < count; ++id) {
    const std::string_view text = given.tokens[id];
    const auto refuse = [&](const char* key, const std::string& reason) {
      Refuse(given, key, "of token " + std::to_string(id) + ", " + JsonExcerpt(text) + ", " + reason);
    };
    const int64_t type = given.types[id];
    if (type != kNormal && type != kUnused && !IsAdded(type)) {
      refuse("token_type", "is " + std::to_string(type) + ", expected 1, 3, 4 or 5");
    }
    if (FindInvalidUtf8(text) != text.npos) refuse("tokens", "is not UTF-8");
    if (const auto [first, is_new] = ids.emplace(text, id); !is_new) {
      refuse("tokens", "is that of token " + std::to_string(first->second) + ", too");
    }
  }
}

}  // namespace

TokenizerModel ReadGgufTokens(const GgufTokens& given) {
  Expect(given, "model", given.model, "gpt2");
  Expect(given, "pre", given.pre, "qwen2");
  if (given.tokens.empty()) Refuse(given, "tokens", "is missing or empty, expected the vocabulary");
  if (given.types.size() != given.tokens.size()) {
    Refuse(given, "token_type",
           "has " + std::to_string(given.types.size()) + " entries, expected one for each of " +
               std::to_string(given.tokens.size()) + " tokens");
  }
  CheckIds(given);

  // The ids behind the last token that is one are rows of the embedding alone. A filler before it keeps its place.
  size_t count = given.tokens.size();
  while (count > 0 && given.types[count - 1] == kUnused) --count;
  size_t vocabulary = count;
  while (vocabulary > 0 && IsAdded(given.types[vocabulary - 1])) --vocabulary;
  CheckTokens(given, count);

  TokenizerTables tables;
  tables.vocab_name = NameOf(given, "tokens");
  for (size_t id = 0; id < vocabulary; ++id) tables.vocab.emplace_back(given.tokens[id], static_cast<int64_t>(id));
  tables.added.name = NameOf(given, "token_type");
  for (size_t id = 0; id < count; ++id) {
    if (!IsAdded(given.types[id])) continue;
    tables.added.tokens.push_back({.id = static_cast<int64_t>(id),
                                   .content = std::string(given.tokens[id]),
                                   .special = given.types[id] == kControl});
  }
  // Without them the control tokens of the chat format would be read as words.
  if (tables.added.tokens.empty()) Refuse(given, "token_type", "has no 3 and no 4, expected some added tokens");
  if (tables.added.tokens.size() > kMostAddedTokens) {
    Refuse(given, "token_type", "has more than " + std::to_string(kMostAddedTokens) + " added tokens");
  }
  tables.merges_name = NameOf(given, "merges");
  tables.merges.reserve(given.merges.size());
  for (size_t rank = 0; rank < given.merges.size(); ++rank) {
    auto merge = SplitMerge(given.merges[rank]);
    if (!merge) {
      Refuse(given, "merges",
             "has " + JsonExcerpt(given.merges[rank]) + " at " + std::to_string(rank) +
                 ", expected two tokens with one space between");
    }
    tables.merges.push_back(std::move(*merge));
  }
  return MakeTokenizerModel(tables);
}

}  // namespace diptych
