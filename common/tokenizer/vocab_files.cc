#include "common/tokenizer/vocab_files.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/tokenizer/token_names.h"
#include "common/tokenizer/tokenizer_json.h"

namespace diptych {
namespace {

constexpr size_t kMostMerges = 1'000'000;  // Qwen's has 151 387

std::vector<std::pair<std::string, std::string>> ReadMerges(const TextFile& file) {
  std::vector<std::pair<std::string, std::string>> merges;
  std::string_view rest = file.text;
  for (size_t line_number = 1; !rest.empty(); ++line_number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (line_number == 1 && line.starts_with("#version:"))) continue;
    auto merge = SplitMerge(line);
    if (!merge) {
      throw Error(ErrorCode::kInvalidArgument, file.name + ": line " + std::to_string(line_number) + " is " +
                                                   JsonExcerpt(line) + ", expected two tokens with one space between");
    }
    if (merges.size() == kMostMerges) {
      throw Error(ErrorCode::kInvalidArgument,
                  file.name + ": has more than " + std::to_string(kMostMerges) + " merges");
    }
    merges.push_back(std::move(*merge));
  }
  return merges;
}

}  // namespace

TokenizerModel ReadVocabFiles(const VocabFiles& files) {
  TokenizerTables tables;
  const nlohmann::json vocab = ParseJson(files.vocab.text, files.vocab.name);
  tables.vocab_name = files.vocab.name;
  tables.vocab = ReadVocab(JsonPlace(vocab, files.vocab.name));
  tables.merges_name = files.merges.name;
  tables.merges = ReadMerges(files.merges);

  tables.added = CollectAddedTokens({}, files.beside);
  if (tables.added.tokens.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                files.vocab.name +
                    ": no added tokens beside it, expected added_tokens_decoder in tokenizer_config.json, "
                    "or added_tokens.json");
  }
  return MakeTokenizerModel(tables);
}

}  // namespace diptych
