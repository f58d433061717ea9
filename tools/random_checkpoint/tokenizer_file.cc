#include "tools/random_checkpoint/tokenizer_file.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "common/error/error.h"

namespace diptych::random_checkpoint {
namespace {

using nlohmann::ordered_json;

// In id order, behind the merged tokens. Those up to <|video_pad|> are special.
constexpr std::string_view kAddedTokens[] = {
    "<|endoftext|>",  "<|im_start|>",   "<|im_end|>",      "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>",  "<|box_end|>",    "<|quad_start|>",  "<|quad_end|>",         "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",   "<|video_pad|>",        "<tool_call>",
    "</tool_call>",   "<|fim_prefix|>", "<|fim_middle|>",  "<|fim_suffix|>",       "<|fim_pad|>",
    "<|repo_name|>",  "<|file_sep|>",   "<tool_response>", "</tool_response>",     "<think>",
    "</think>"};
constexpr size_t kSpecialTokens = 14;

// Frequent pairs of English, best first; '_' stands for the space, whose printable form is U+0120. Each side is a byte
// or the result of an earlier merge.
constexpr std::string_view kMerges[] = {"_ t",  "_ a",  "h e", "i n",   "r e",  "o n", "_t he", "e r",   "_ s",  "a t",
                                        "_ o",  "e n",  "_ c", "i t",   "i s",  "a n", "o r",   "e s",   "_ b",  "e d",
                                        "_ f",  "in g", "_ p", "o u",   "_a n", "a l", "a r",   "_t o",  "_ m",  "_o f",
                                        "_ in", "_ w",  "_ d", "_an d", "l e",  "i c", "a s",   "o m",   "_ re", "_ g",
                                        "_ h",  "_ l",  "r o", "_ e",   "l l",  "u s", "_w it", "_wit h"};

constexpr const char* kPreTokenizer =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Plain turns; after the last one the assistant's header, with an empty think block when thinking is switched off.
constexpr const char* kChatTemplate =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif "
    "%}";

// A code point below U+0800 in UTF-8.
std::string Utf8(uint32_t code_point) {
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xc0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3f))};
}

bool IsPrintable(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

// The 256 bytes in the printable form of byte-level BPE, in id order: printable bytes first, then the others from
// U+0100 on.
std::vector<std::string> ByteTokens() {
  std::vector<std::string> printable, others;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (IsPrintable(byte)) {
      printable.push_back(Utf8(byte));
    } else {
      others.push_back(Utf8(static_cast<uint32_t>(0x100 + others.size())));
    }
  }
  printable.insert(printable.end(), others.begin(), others.end());
  return printable;
}

struct Merge {
  std::string left, right;
};

std::vector<Merge> Merges() {
  std::vector<Merge> merges;
  for (const std::string_view text : kMerges) {
    std::string printable;
    for (const char c : text) printable += c == '_' ? Utf8(0x120) : std::string(1, c);
    const size_t space = printable.find(' ');
    merges.push_back({printable.substr(0, space), printable.substr(space + 1)});
  }
  return merges;
}

int64_t FirstAddedId() { return 256 + static_cast<int64_t>(std::size(kMerges)); }

ordered_json AddedToken(size_t index) {
  return {{"content", kAddedTokens[index]},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", false},
          {"special", index < kSpecialTokens}};
}

ordered_json ByteLevel() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

ordered_json BpeModel() {
  int next = 0;  // id
  ordered_json vocabulary = ordered_json::object();
  for (const std::string& token : ByteTokens()) vocabulary[token] = next++;
  ordered_json merges = ordered_json::array();
  for (const Merge& merge : Merges()) {
    vocabulary[merge.left + merge.right] = next++;
    merges.push_back(merge.left + " " + merge.right);
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", ""},
          {"end_of_word_suffix", ""},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", vocabulary},
          {"merges", merges}};
}

}  // namespace

int64_t TokenCount() { return FirstAddedId() + static_cast<int64_t>(std::size(kAddedTokens)); }

int64_t AddedTokenId(const std::string& content) {
  for (size_t i = 0; i < std::size(kAddedTokens); ++i) {
    if (kAddedTokens[i] == content) return FirstAddedId() + static_cast<int64_t>(i);
  }
  throw Error(ErrorCode::kInternal, "no added token " + content);
}

std::string TokenizerJson() {
  ordered_json added = ordered_json::array();
  for (size_t i = 0; i < std::size(kAddedTokens); ++i) {
    ordered_json token = {{"id", FirstAddedId() + static_cast<int64_t>(i)}};
    token.update(AddedToken(i));
    added.push_back(token);
  }
  const ordered_json split = {
      {"type", "Split"}, {"pattern", {{"Regex", kPreTokenizer}}}, {"behavior", "Isolated"}, {"invert", false}};
  const ordered_json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", ordered_json::array({split, ByteLevel()})}}},
      {"post_processor", ByteLevel()},
      {"decoder", ByteLevel()},
      {"model", BpeModel()},
  };
  return tokenizer.dump(2) + "\n";
}

std::string TokenizerConfigJson() {
  ordered_json added = ordered_json::object();
  ordered_json additional = ordered_json::array();
  for (size_t i = 0; i < std::size(kAddedTokens); ++i) {
    added[std::to_string(FirstAddedId() + static_cast<int64_t>(i))] = AddedToken(i);
    if (i > 0 && i < kSpecialTokens) additional.push_back(kAddedTokens[i]);
  }
  const ordered_json config = {
      {"add_bos_token", false},
      {"add_prefix_space", false},
      {"added_tokens_decoder", added},
      {"additional_special_tokens", additional},
      {"bos_token", nullptr},
      {"chat_template", kChatTemplate},
      {"clean_up_tokenization_spaces", false},
      {"eos_token", "<|im_end|>"},
      {"errors", "replace"},
      {"model_max_length", 131072},
      {"pad_token", "<|endoftext|>"},
      {"split_special_tokens", false},
      {"tokenizer_class", "Qwen2Tokenizer"},
      {"unk_token", nullptr},
  };
  return config.dump(2) + "\n";
}

}  // namespace diptych::random_checkpoint
