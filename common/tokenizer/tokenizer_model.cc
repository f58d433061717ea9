#include "common/tokenizer/tokenizer_model.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/tokenizer/byte_level.h"
#include "common/tokenizer/token_names.h"

namespace diptych {
namespace {

using IdsByText = std::unordered_map<std::string_view, int32_t>;

[[noreturn]] void Refuse(const std::string& name, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, name + ": " + reason);
}

// The printable text of each id.
std::vector<std::string_view> OrderById(const TokenizerTables& tables) {
  const auto count = static_cast<int64_t>(tables.vocab.size());
  if (count > std::numeric_limits<int32_t>::max()) Refuse(tables.vocab_name, "too many tokens");
  std::vector<std::string_view> texts(tables.vocab.size());
  std::vector<bool> seen(tables.vocab.size());
  for (const auto& [text, id] : tables.vocab) {
    if (id < 0 || id >= count) {
      Refuse(tables.vocab_name, "token " + JsonExcerpt(text) + " has id " + std::to_string(id) + ", expected 0 to " +
                                    std::to_string(count - 1) + " for " + std::to_string(count) + " tokens");
    }
    if (seen[id]) {
      Refuse(tables.vocab_name,
             "tokens " + JsonExcerpt(texts[id]) + " and " + JsonExcerpt(text) + " share the id " + std::to_string(id));
    }
    seen[id] = true;
    texts[id] = text;
  }
  return texts;
}

IdsByText MakeIdsByText(const std::vector<std::string_view>& texts) {
  IdsByText ids;
  ids.reserve(texts.size());
  for (size_t id = 0; id < texts.size(); ++id) ids.emplace(texts[id], static_cast<int32_t>(id));
  return ids;
}

std::vector<std::string> DecodeVocabulary(const TokenizerTables& tables, const std::vector<std::string_view>& texts) {
  std::vector<std::string> vocabulary;
  vocabulary.reserve(texts.size());
  for (const std::string_view text : texts) {
    std::optional<std::string> bytes = DecodePrintable(text);
    if (!bytes)
      Refuse(tables.vocab_name, "token " + JsonExcerpt(text) + " has a character outside the byte-level alphabet");
    vocabulary.push_back(std::move(*bytes));
  }
  return vocabulary;
}

std::array<int32_t, 256> FindByteIds(const std::string& vocab_name, const std::vector<std::string>& vocabulary) {
  std::array<int32_t, 256> ids;
  ids.fill(-1);
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary[id].size() == 1) ids[static_cast<uint8_t>(vocabulary[id][0])] = static_cast<int32_t>(id);
  }
  const auto missing = std::find(ids.begin(), ids.end(), -1);
  if (missing != ids.end()) {
    Refuse(vocab_name, "no token for the single byte " + std::to_string(missing - ids.begin()) + ", expected all 256");
  }
  return ids;
}

std::vector<BpeMerge> FindMerges(const TokenizerTables& tables, const IdsByText& ids) {
  std::unordered_map<uint64_t, size_t> ranks;
  ranks.reserve(tables.merges.size());
  std::vector<BpeMerge> merges;
  merges.reserve(tables.merges.size());
  for (size_t rank = 0; rank < tables.merges.size(); ++rank) {
    const std::string& left = tables.merges[rank].first;
    const std::string& right = tables.merges[rank].second;
    const auto refuse = [&](const std::string& reason) {
      Refuse(tables.merges_name,
             "merge " + std::to_string(rank) + " (" + JsonExcerpt(left) + ", " + JsonExcerpt(right) + ") " + reason);
    };
    if (left.empty() || right.empty()) refuse("has an empty side");
    const auto find = [&](const std::string& text) {
      const auto found = ids.find(text);
      if (found == ids.end()) refuse("needs " + JsonExcerpt(text) + ", which is not in the vocabulary");
      return found->second;
    };
    const BpeMerge merge{find(left), find(right), find(left + right)};
    const uint64_t pair = static_cast<uint64_t>(merge.left) << 32 | static_cast<uint32_t>(merge.right);
    const auto [earlier, is_new] = ranks.emplace(pair, rank);
    if (!is_new) refuse("repeats merge " + std::to_string(earlier->second));
    merges.push_back(merge);
  }
  return merges;
}

void CheckAddedTokens(const TokenizerTables& tables, const std::vector<std::string_view>& texts, const IdsByText& ids) {
  constexpr size_t kMostAddedBytes = size_t{1} << 20;  // each becomes a node of the matcher
  size_t bytes = 0;
  std::unordered_map<std::string_view, int64_t> by_content;
  std::unordered_map<int64_t, std::string_view> by_id;
  for (const AddedToken& token : tables.added.tokens) {
    const auto refuse = [&](const std::string& reason) {
      Refuse(tables.added.name,
             "token " + JsonExcerpt(token.content) + " with id " + std::to_string(token.id) + " " + reason);
    };
    if (token.content.empty()) refuse("has no text");
    bytes += token.content.size();
    if (bytes > kMostAddedBytes) refuse("is one too many: their texts have at most 1 MiB together");
    const bool gets_one = token.id == AddedToken::kNextFree;
    if (!gets_one && (token.id < 0 || token.id > std::numeric_limits<int32_t>::max()))
      refuse("is out of range, expected 0 to 2147483647");
    if (const auto [first, is_new] = by_content.emplace(token.content, token.id); !is_new) {
      refuse("is there already with id " + std::to_string(first->second));
    }
    if (gets_one) continue;
    if (const auto [first, is_new] = by_id.emplace(token.id, token.content); !is_new) {
      refuse("shares the id with " + JsonExcerpt(first->second));
    }
    if (token.id < static_cast<int64_t>(texts.size()) && texts[token.id] != token.content) {
      refuse("is " + JsonExcerpt(texts[token.id]) + " in the vocabulary");
    }
    if (const auto found = ids.find(token.content); found != ids.end() && found->second != token.id) {
      refuse("has id " + std::to_string(found->second) + " in the vocabulary");
    }
  }
}

// Gives the tokens behind the vocabulary the ids that the tokenizers library gives them.
void AssignIds(const std::string& name, const IdsByText& ids, TokenizerModel& model) {
  auto next = static_cast<int64_t>(model.vocabulary.size());
  NameList moved;
  for (AddedToken& token : model.added_tokens) {
    const auto found = ids.find(token.content);
    const int64_t id = found != ids.end() ? found->second : next++;
    if (token.id != AddedToken::kNextFree && token.id != id) {
      moved.Add(JsonExcerpt(token.content) + " is " + std::to_string(id) + " instead of " + std::to_string(token.id));
    }
    token.id = id;
  }
  if (!moved.empty())
    model.warnings.push_back(name + ": ids with a gap are counted as transformers does: " + moved.text());
}

}  // namespace

std::optional<std::pair<std::string, std::string>> SplitMerge(std::string_view merge) {
  const size_t space = merge.find(' ');
  if (space == merge.npos || merge.find(' ', space + 1) != merge.npos) return std::nullopt;
  return std::pair(std::string(merge.substr(0, space)), std::string(merge.substr(space + 1)));
}

TokenizerModel MakeTokenizerModel(const TokenizerTables& tables) {
  const std::vector<std::string_view> texts = OrderById(tables);
  const IdsByText ids = MakeIdsByText(texts);
  TokenizerModel model;
  model.vocabulary = DecodeVocabulary(tables, texts);
  model.byte_ids = FindByteIds(tables.vocab_name, model.vocabulary);
  model.merges = FindMerges(tables, ids);
  CheckAddedTokens(tables, texts, ids);
  model.added_tokens = tables.added.tokens;
  model.warnings = tables.added.warnings;
  const auto stated = [](const AddedToken& token) {  // those without an id come last
    return token.id == AddedToken::kNextFree ? std::numeric_limits<int64_t>::max() : token.id;
  };
  std::stable_sort(model.added_tokens.begin(), model.added_tokens.end(),
                   [&](const AddedToken& a, const AddedToken& b) { return stated(a) < stated(b); });
  AssignIds(tables.added.name, ids, model);
  std::sort(model.added_tokens.begin(), model.added_tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return model;
}

}  // namespace diptych
