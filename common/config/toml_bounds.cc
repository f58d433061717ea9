#include "common/config/toml_bounds.h"

#include <algorithm>
#include <array>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr size_t kMostDepth = 8, kMostValues = 500, kMostParts = 8;

class Scanner {
 public:
  Scanner(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  void Scan() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        SkipString(c);
        continue;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '.') {
        if (++parts_ > kMostParts) Refuse("a key of more than " + std::to_string(kMostParts) + " parts");
      } else if (c != ' ' && std::string_view("\n=,[]{}").find(c) != std::string_view::npos) {
        Structure(c);
      }
      ++at_;
    }
  }

 private:
  void Structure(char c) {
    parts_ = 1;
    if (c == '\n') ++line_;
    if (c == ',' && ++values_[depth_] >= kMostValues && depth_ > 0) {
      Refuse("a list or table of more than " + std::to_string(kMostValues) + " values");
    }
    if (c == '[' || c == '{') {
      if (++depth_ > kMostDepth) Refuse("nested deeper than " + std::to_string(kMostDepth) + " levels");
      values_[depth_] = 0;
    }
    if ((c == ']' || c == '}') && depth_ > 0) --depth_;
  }

  // A string of one line ends at its line's end at the latest, where the library finds it broken. One of several may
  // have one or two quotation marks more at its end, which are its own.
  void SkipString(char quote) {
    const std::string_view rest = text_.substr(at_);
    const bool is_long = rest.size() > 2 && rest[1] == quote && rest[2] == quote;
    const std::string_view end = rest.substr(0, is_long ? 3 : 1);
    for (at_ += is_long ? 3 : 1; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') {
        if (!is_long) return;
        ++line_;
      } else if (text_[at_] == '\\' && quote == '"') {
        ++at_;
        if (at_ < text_.size() && text_[at_] == '\n') ++line_;
      } else if (text_.substr(at_, end.size()) == end) {
        at_ += end.size();
        for (int more = 0; is_long && more < 2 && at_ < text_.size() && text_[at_] == quote; ++more) ++at_;
        return;
      }
    }
    at_ = text_.size();
  }

  [[noreturn]] void Refuse(const std::string& what) const {
    throw Error(ErrorCode::kInvalidArgument,
                path_ + ":" + std::to_string(line_) + ": " + what + ", which no configuration has");
  }

  const std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t parts_ = 1;  // of a key, or of a number
  size_t depth_ = 0;  // of lists and inline tables; the names of tables are in brackets, too
  std::array<size_t, kMostDepth + 2> values_ = {};  // of those that are open
};

}  // namespace

void CheckTomlBounds(std::string_view text, const std::string& path) { Scanner(text, path).Scan(); }

}  // namespace diptych
