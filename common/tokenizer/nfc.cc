#include "common/tokenizer/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/error/error.h"
#include "common/prompt/utf8.h"
#include "common/tokenizer/reference_unicode.h"

namespace diptych {
namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

// Everything below U+0300 is composed already; its lead bytes are below 0xCC.
bool NeedsNoComposition(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0xCC; });
}

bool IsBarrier(char32_t c) {
  return std::ranges::any_of(kNfcBarriers,
                             [c](const CodePointRange& range) { return c >= range.first && c <= range.last; });
}

void Decompose(char32_t code_point, CodePoints& decomposed) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);
  utf8proc_int32_t parts[8];  // the longest canonical decomposition has four
  int boundary = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), parts, 8, kOptions, &boundary);
  if (count < 0 || count > 8) throw Error(ErrorCode::kInternal, "utf8proc could not decompose a character");
  decomposed.insert(decomposed.end(), parts, parts + count);
}

// Sorts each run of combining marks by class, keeping the order within a class. utf8proc's own sort is quadratic.
void OrderMarks(CodePoints& code_points) {
  const auto combining_class = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto at = code_points.begin(); at != code_points.end();) {
    const auto first = std::find_if(at, code_points.end(), [&](auto c) { return combining_class(c) != 0; });
    at = std::find_if(first, code_points.end(), [&](auto c) { return combining_class(c) == 0; });
    std::stable_sort(first, at, [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
  }
}

void AppendUtf8(utf8proc_int32_t code_point, std::string& text) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t count = utf8proc_encode_char(code_point, bytes);
  text.append(reinterpret_cast<const char*>(bytes), count);
}

// Composes what has been decomposed, appends it to the text and begins anew.
void ComposeInto(std::string& text, CodePoints& decomposed) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  OrderMarks(decomposed);
  const utf8proc_ssize_t count =
      utf8proc_normalize_utf32(decomposed.data(), static_cast<utf8proc_ssize_t>(decomposed.size()), kOptions);
  if (count < 0) throw Error(ErrorCode::kInternal, "utf8proc could not compose a text");
  for (utf8proc_ssize_t i = 0; i < count; ++i) AppendUtf8(decomposed[i], text);
  decomposed.clear();
}

}  // namespace

std::string ComposeNfc(std::string_view text) {
  if (NeedsNoComposition(text)) return std::string(text);
  std::string composed;
  composed.reserve(text.size());
  CodePoints decomposed;  // since the last barrier
  for (size_t offset = 0; offset < text.size();) {
    const Utf8Character character = ReadUtf8Character(text, offset);
    if (IsBarrier(character.code_point)) {
      ComposeInto(composed, decomposed);
      composed += text.substr(offset, character.bytes);
    } else {
      Decompose(character.code_point, decomposed);
    }
    offset += character.bytes;
  }
  ComposeInto(composed, decomposed);
  return composed;
}

}  // namespace diptych
