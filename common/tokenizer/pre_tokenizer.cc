#include "common/tokenizer/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "common/error/error.h"
#include "common/tokenizer/reference_unicode.h"

namespace diptych {
namespace {

// \s of the reference's engine: Unicode White_Space. PCRE2's own \s also takes U+180E.
constexpr char kWhite[] =
    R"(\x{09}-\x{0D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// The inside of a character class that holds what `property` names, and the ranges.
std::string ClassOf(std::string property, std::span<const CodePointRange> ranges) {
  for (const auto& [first, last] : ranges) {
    char text[40];
    std::snprintf(text, sizeof(text), R"(\x{%X}-\x{%X})", static_cast<unsigned>(first), static_cast<unsigned>(last));
    property += text;
  }
  return property;
}

// kQwenSplitPattern with its classes as the reference's engine understands them.
std::string SpellOut(std::string_view pattern) {
  const std::pair<std::string_view, std::string> classes[] = {{R"(\s)", kWhite},
                                                              {R"(\p{L})", ClassOf(R"(\p{L})", kYoungLetters)},
                                                              {R"(\p{N})", ClassOf(R"(\p{N})", kYoungNumbers)}};
  constexpr std::string_view kNotWhite = R"(\S)";
  std::string spelled;
  bool in_brackets = false;
  while (!pattern.empty()) {
    size_t taken = 1;
    if (const auto* found = std::ranges::find_if(classes, [&](const auto& c) { return pattern.starts_with(c.first); });
        found != std::end(classes)) {
      taken = found->first.size();
      spelled += in_brackets ? found->second : "[" + found->second + "]";
    } else if (pattern.starts_with(kNotWhite)) {
      taken = kNotWhite.size();
      spelled.append("[^").append(kWhite).append("]");
    } else {
      if (pattern[0] == '[') in_brackets = true;
      if (pattern[0] == ']') in_brackets = false;
      spelled += pattern[0];
    }
    pattern.remove_prefix(taken);
  }
  return spelled;
}

std::string ErrorText(int code) {
  PCRE2_UCHAR text[128] = {};
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

struct FreeMatch {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

}  // namespace

void PreTokenizer::FreeCode::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

PreTokenizer::PreTokenizer() {
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Anchored: a match must begin where the last one ended, or text would be lost.
  const std::string pattern = SpellOut(kQwenSplitPattern);
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &offset, nullptr));
  if (!code_) throw Error(ErrorCode::kInternal, "PCRE2 refused the split pattern: " + ErrorText(error));
  // Where the system forbids it (no writable and executable memory), pcre2_match interprets: slower, same pieces.
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
}

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;

std::vector<std::string_view> PreTokenizer::Split(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  const std::unique_ptr<pcre2_match_context, FreeMatch> context(pcre2_match_context_create(nullptr));
  if (!match || !context) throw std::bad_alloc();
  // The pattern backtracks over a run of white space once at most; a limit could only break long runs.
  pcre2_set_match_limit(context.get(), std::numeric_limits<uint32_t>::max());

  std::vector<std::string_view> pieces;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t offset = 0; offset < text.size();) {
    const int result =
        pcre2_match(code_.get(), subject, text.size(), offset, PCRE2_NO_UTF_CHECK, match.get(), context.get());
    if (result < 0) {
      throw Error(ErrorCode::kInternal,
                  "cannot split the text at byte " + std::to_string(offset) + ": " + ErrorText(result));
    }
    const PCRE2_SIZE end = pcre2_get_ovector_pointer(match.get())[1];
    if (end <= offset) throw Error(ErrorCode::kInternal, "empty piece at byte " + std::to_string(offset));
    pieces.push_back(text.substr(offset, end - offset));
    offset = end;
  }
  return pieces;
}

}  // namespace diptych
