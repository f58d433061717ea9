#include "common/http/router.h"

#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/http/hex_digit.h"

namespace diptych {
namespace {

std::vector<std::string> Segments(std::string_view path) {
  return absl::StrSplit(std::string(path), '/');  // the first is empty: a path begins with '/'
}

// "a%20b" -> "a b"; none where a % has no two digits behind it, or stands for a control character.
std::optional<std::string> Decode(std::string_view segment) {
  std::string text;
  for (size_t i = 0; i < segment.size(); ++i) {
    char c = segment[i];
    if (c == '%') {
      const int high = i + 2 < segment.size() ? HexDigit(segment[i + 1]) : -1;
      const int low = i + 2 < segment.size() ? HexDigit(segment[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    text += c;
  }
  return text;
}

bool IsParameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool Fits(std::string_view wanted, const std::string& segment) {
  if (IsParameter(wanted)) return !segment.empty() && segment != "." && segment != "..";
  return wanted == segment;
}

bool Fit(const std::vector<std::string>& pattern, const std::vector<std::string>& segments) {
  if (pattern.size() != segments.size()) return false;
  for (size_t i = 0; i < segments.size(); ++i) {
    if (!Fits(pattern[i], segments[i])) return false;
  }
  return true;
}

// Both fit the same path.
bool IsCloser(const std::vector<std::string>& pattern, const std::vector<std::string>& than) {
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (IsParameter(pattern[i]) != IsParameter(than[i])) return IsParameter(than[i]);
  }
  return false;
}

}  // namespace

void HttpRouter::Add(HttpRoute route) {
  std::vector<std::string> segments = Segments(route.path);
  patterns_.push_back({std::move(route), std::move(segments)});
}

HttpRouter::Found HttpRouter::Find(std::string_view method, std::string_view path) const {
  std::vector<std::string> segments = Segments(path);
  for (std::string& segment : segments) {
    std::optional<std::string> decoded = Decode(segment);
    if (!decoded)
      return {.refusal = HttpRefusal(400, "a % in a path stands before two hexadecimal digits of a printable byte")};
    segment = *std::move(decoded);
  }
  const Pattern* best = nullptr;
  std::set<std::string> allowed;
  for (const Pattern& pattern : patterns_) {
    if (!Fit(pattern.segments, segments)) continue;
    allowed.insert(pattern.route.method);
    if (pattern.route.method == "GET") allowed.insert("HEAD");
    const bool answers = pattern.route.method == method || (method == "HEAD" && pattern.route.method == "GET");
    if (answers && (best == nullptr || IsCloser(pattern.segments, best->segments))) best = &pattern;
  }
  if (best == nullptr) {
    if (allowed.empty()) return {.refusal = HttpRefusal(404, "there is nothing at this path")};
    const std::string methods = absl::StrJoin(allowed, ", ");
    Found found{.refusal = HttpRefusal(405, "at this path " + methods + " can be asked")};
    found.refusal.headers.emplace_back("Allow", methods);
    return found;
  }
  Found found{.route = &best->route};
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::string& name = best->segments[i];
    if (IsParameter(name)) found.parameters[name.substr(1, name.size() - 2)] = std::move(segments[i]);
  }
  return found;
}

}  // namespace diptych
