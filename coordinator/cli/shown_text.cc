#include "coordinator/cli/shown_text.h"

#include <utility>

#include "common/foreign_text/escape.h"

namespace diptych {
namespace {

constexpr size_t kMostPending = 1 << 16;  // bytes of a line; a longer one is passed on in pieces

}  // namespace

ShownText::~ShownText() { Pass(); }

bool ShownText::Pass() {
  if (!pending_.empty()) target_ << EscapeLines(std::exchange(pending_, {}));
  return target_.good();
}

void ShownText::Control(std::string_view sequence) {
  Pass();
  target_ << sequence;
}

int ShownText::overflow(int c) {
  if (c == traits_type::eof()) return 0;
  pending_.push_back(static_cast<char>(c));
  if (c != '\n') return c;
  return Pass() ? c : traits_type::eof();
}

std::streamsize ShownText::xsputn(const char* text, std::streamsize size) {
  pending_.append(text, static_cast<size_t>(size));
  const bool whole_line = pending_.ends_with('\n');
  if (!whole_line && pending_.size() < kMostPending) return size;
  if (whole_line) return Pass() ? size : 0;
  // Up to a character, so that none is torn.
  size_t end = pending_.size();
  while (end > pending_.size() - 4 && (static_cast<unsigned char>(pending_[end - 1]) & 0xC0) == 0x80) --end;
  if (static_cast<unsigned char>(pending_[end - 1]) >= 0xC0) --end;
  std::string rest = pending_.substr(end);
  pending_.resize(end);
  const bool passed = Pass();
  pending_ = std::move(rest);
  return passed ? size : 0;
}

int ShownText::sync() {
  Pass();
  return target_.flush() ? 0 : -1;
}

void WriteControl(std::ostream& out, std::string_view sequence) {
  if (auto* shown = dynamic_cast<ShownText*>(out.rdbuf())) {
    shown->Control(sequence);
  } else {
    out << sequence;
  }
}

}  // namespace diptych
