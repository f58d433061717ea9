#include "common/tokenizer/bpe_tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/prompt/prompt_text.h"
#include "common/prompt/utf8.h"
#include "common/source_files/file_kind.h"
#include "common/source_files/model_folder.h"
#include "common/source_files/read_file.h"
#include "common/tokenizer/find_tokenizer.h"
#include "common/tokenizer/nfc.h"
#include "common/tokenizer/tokenizer_json.h"
#include "common/tokenizer/vocab_files.h"

namespace diptych {
namespace {

// Far above any prompt; composed text stays below the 4 GiB of a piece.
constexpr size_t kMaxTextBytes = size_t{256} << 20;

constexpr size_t kBytesBetweenPauses = size_t{64} << 10;

TextFile ReadTextFile(const std::filesystem::path& path) {
  constexpr auto kMost = static_cast<int64_t>(kTokenizerJson.bytes);
  return {path.string(), ReadWholeFile(path.string(), kMost)};
}

// A link that points nowhere is there, and cannot be read.
bool IsThere(const std::filesystem::path& path) {
  std::error_code ignored;
  return IsFile(path) || (std::filesystem::is_symlink(path, ignored) && !std::filesystem::exists(path, ignored));
}

std::optional<TextFile> ReadTextFileIfThere(const std::filesystem::path& path) {
  if (!IsThere(path)) return std::nullopt;
  return ReadTextFile(path);
}

TokenFiles ReadTokenFiles(const std::filesystem::path& folder) {
  return {ReadTextFileIfThere(folder / "tokenizer_config.json"),
          ReadTextFileIfThere(folder / "special_tokens_map.json"), ReadTextFileIfThere(folder / "added_tokens.json")};
}

// Those that are looked for in raw text, or in composed text; then their own text is composed, too.
std::vector<AddedToken> TokensFor(const TokenizerModel& model, bool normalized) {
  std::vector<AddedToken> chosen;
  for (const AddedToken& token : model.added_tokens) {
    if (token.normalized != normalized) continue;
    chosen.push_back(token);
    if (normalized && model.composes) chosen.back().content = ComposeNfc(token.content);
  }
  return chosen;
}

}  // namespace

BpeTokenizer::BpeTokenizer(TokenizerModel model)
    : vocabulary_(std::move(model.vocabulary)),
      vocabulary_size_(vocabulary_.size()),
      added_tokens_(TokensFor(model, /*normalized=*/false)),
      normalized_added_tokens_(TokensFor(model, /*normalized=*/true)),
      composes_(model.composes),
      bpe_(model.byte_ids, std::move(model.merges)),
      warnings_(std::move(model.warnings)) {
  for (AddedToken& token : model.added_tokens) {
    vocabulary_size_ = std::max(vocabulary_size_, static_cast<size_t>(token.id) + 1);
    added_by_id_.emplace(token.id, std::move(token));
  }
}

BpeTokenizer BpeTokenizer::FromTokenizerJson(std::string_view json, const std::string& name) {
  return BpeTokenizer(ReadTokenizerJson(json, name));
}

BpeTokenizer BpeTokenizer::FromGguf(const GgufTokens& tokens) { return BpeTokenizer(ReadGgufTokens(tokens)); }

BpeTokenizer BpeTokenizer::Load(const std::string& folder) {
  const std::filesystem::path path(folder);
  if (const auto file = ReadTextFileIfThere(path / "tokenizer.json")) {
    return BpeTokenizer(ReadTokenizerJson(file->text, file->name, ReadTokenFiles(path)));
  }
  if (!IsThere(path / "vocab.json") || !IsThere(path / "merges.txt")) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored) && path.has_parent_path()) {
      const std::string problem = ModelFolderProblem(path.parent_path().string());
      if (!problem.empty()) throw Error(ErrorCode::kNotFound, problem);
    }
    throw Error(ErrorCode::kNotFound, folder + ": no tokenizer, expected tokenizer.json, or vocab.json and merges.txt" +
                                          UnfinishedDownloadOf((path / "tokenizer.json").string()));
  }
  return BpeTokenizer(
      ReadVocabFiles({ReadTextFile(path / "vocab.json"), ReadTextFile(path / "merges.txt"), ReadTokenFiles(path)}));
}

std::string BpeTokenizer::Identity() const {
  std::string text;
  const auto add = [&](std::string_view field) { text.append(std::to_string(field.size())).append(":").append(field); };
  const auto add_number = [&](int64_t number) { text.append(std::to_string(number)).push_back(' '); };
  for (const std::string& token : vocabulary_) add(token);
  text += "\nmerges ";
  for (const BpeMerge& merge : bpe_.merges()) {
    add_number(merge.left);
    add_number(merge.right);
  }
  text += "\nadded ";
  std::vector<const AddedToken*> added;
  for (const auto& [id, token] : added_by_id_) added.push_back(&token);
  std::sort(added.begin(), added.end(), [](const AddedToken* a, const AddedToken* b) { return a->id < b->id; });
  for (const AddedToken* token : added) {  // whether it is special decides nothing here
    add_number(token->id);
    add(token->content);
    for (const bool flag : {token->lstrip, token->rstrip, token->single_word, token->normalized}) add_number(flag);
  }
  if (!composes_) text += "\nas written ";
  return text;
}

std::vector<int64_t> BpeTokenizer::Encode(std::string_view text, const Pause& pause) const {
  if (text.size() > kMaxTextBytes) {
    throw Error(ErrorCode::kInvalidArgument, "the text has " + std::to_string(text.size()) +
                                                 " bytes, expected at most " + std::to_string(kMaxTextBytes));
  }
  CheckUtf8("the text", text);
  std::vector<int64_t> ids;
  Bpe::Scratch scratch;
  size_t since_pause = 0;
  for (const AddedTokenMatcher::Segment& segment : added_tokens_.Split(text)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    const std::string composed = composes_ ? ComposeNfc(segment.text) : std::string();
    const std::string_view ordinary = composes_ ? std::string_view(composed) : segment.text;
    for (const AddedTokenMatcher::Segment& part : normalized_added_tokens_.Split(ordinary)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
        continue;
      }
      for (const std::string_view piece : pre_tokenizer_.Split(part.text)) {
        bpe_.Encode(piece, scratch, ids);
        since_pause += piece.size();
        if (pause && since_pause >= kBytesBetweenPauses) {
          since_pause = 0;
          pause();
        }
      }
    }
  }
  return ids;
}

std::string BpeTokenizer::Decode(std::span<const int64_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int64_t id : ids) {
    if (const auto added = added_by_id_.find(id); added != added_by_id_.end()) {
      if (!(skip_special && added->second.special)) bytes += added->second.content;
    } else if (id >= 0 && id < static_cast<int64_t>(vocabulary_.size())) {
      bytes += vocabulary_[id];
    }
  }
  return ReplaceInvalidUtf8(bytes);
}

}  // namespace diptych
