#include "common/image/exif.h"

#include <array>
#include <cstdint>
#include <optional>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

constexpr uint16_t kOrientation = 0x0112, kExifFolder = 0x8769, kExifVersion = 0x9000, kMakerNote = 0x927C,
                   kUserComment = 0x9286;
constexpr uint16_t kShort = 3, kLong = 4, kUndefined = 7;
constexpr std::string_view kOurNote("diptych\0", 8);
constexpr std::string_view kUnicode("UNICODE\0", 8);
constexpr std::string_view kApp1Name("Exif\0\0",
                                     6);  // some files have it in front of the block where it does not belong
constexpr uint64_t kTiffMark = 42;
constexpr size_t kEntryBytes = 12;

void Append16(uint32_t value, std::string& out) {
  out += static_cast<char>(value >> 8 & 0xff);
  out += static_cast<char>(value & 0xff);
}

void Append32(uint32_t value, std::string& out) {
  Append16(value >> 16, out);
  Append16(value & 0xffff, out);
}

std::string Utf16(const std::string& utf8) {
  std::string out;
  for (size_t at = 0; at < utf8.size();) {
    const Utf8Character character = ReadUtf8Character(utf8, at);
    at += character.bytes;
    const auto code = static_cast<uint32_t>(character.code_point);
    if (code < 0x10000) {
      Append16(code, out);
    } else {
      Append16(0xD800 + ((code - 0x10000) >> 10), out);
      Append16(0xDC00 + ((code - 0x10000) & 0x3ff), out);
    }
  }
  return out;
}

void AppendUtf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

// Big-endian, which piexif writes and reads whatever the byte order of the block.
std::string Utf8(std::string_view utf16) {
  const auto unit = [&](size_t at) {
    return uint32_t{static_cast<uint8_t>(utf16[at])} << 8 | static_cast<uint8_t>(utf16[at + 1]);
  };
  std::string out;
  for (size_t at = 0; at + 1 < utf16.size(); at += 2) {
    uint32_t code = unit(at);
    if (code >= 0xD800 && code < 0xE000) {
      const bool pair = code < 0xDC00 && at + 3 < utf16.size() && unit(at + 2) >= 0xDC00 && unit(at + 2) < 0xE000;
      code = pair ? 0x10000 + ((code - 0xD800) << 10) + (unit(at + 2) - 0xDC00) : 0xFFFD;
      if (pair) at += 2;
    }
    AppendUtf8(code, out);
  }
  return out;
}

struct Entry {
  uint16_t tag = 0;
  std::string value;  // of bytes
};

void AppendEntry(uint16_t tag, uint16_t type, uint32_t count, uint32_t value, std::string& out) {
  Append16(tag, out);
  Append16(type, out);
  Append32(count, out);
  Append32(value, out);
}

// Reads numbers in the block's byte order; nothing beyond its end.
class Block {
 public:
  explicit Block(std::string_view bytes) : bytes_(bytes) {
    if (bytes_.substr(0, kApp1Name.size()) == kApp1Name) bytes_.remove_prefix(kApp1Name.size());
    little_ = bytes_.substr(0, 2) == "II";
    known_ = (little_ || bytes_.substr(0, 2) == "MM") && Number(2, 2) == kTiffMark;
  }

  // The value of a tag in the folder at this offset; for kLong the number as four bytes, big-endian.
  std::optional<std::string_view> Find(uint64_t folder, uint16_t tag) const {
    const auto entry = FindEntry(folder, tag);
    if (!entry) return std::nullopt;
    const uint64_t size = *Number(*entry + 4, 4);
    const uint64_t bytes = Number(*entry + 2, 2) == kLong ? size * 4 : size;
    const auto place = bytes <= 4 ? *entry + 8 : Number(*entry + 8, 4);
    if (!place || *place > bytes_.size() || bytes > bytes_.size() - *place) return std::nullopt;
    return bytes_.substr(*place, bytes);
  }

  // Of a tag that is one whole number.
  std::optional<uint64_t> FindNumber(uint64_t folder, uint16_t tag) const {
    const auto entry = FindEntry(folder, tag);
    if (!entry || Number(*entry + 4, 4) != uint64_t{1}) return std::nullopt;
    const auto type = Number(*entry + 2, 2);
    if (type == kShort) return Number(*entry + 8, 2);
    if (type == kLong) return Number(*entry + 8, 4);
    return std::nullopt;
  }

  std::optional<uint64_t> FolderBehind(uint64_t folder, uint16_t tag) const {
    const auto value = Find(folder, tag);
    if (!value || value->size() != 4) return std::nullopt;
    return Number(static_cast<uint64_t>(value->data() - bytes_.data()), 4);
  }

  std::optional<uint64_t> First() const { return Number(4, 4); }

 private:
  // Where the entry of a tag begins, all of which is there.
  std::optional<uint64_t> FindEntry(uint64_t folder, uint16_t tag) const {
    const auto count = Number(folder, 2);
    if (!known_ || !count) return std::nullopt;
    for (uint64_t i = 0; i < *count; ++i) {
      const uint64_t entry = folder + 2 + i * kEntryBytes;
      const auto found = Number(entry, 2), value = Number(entry + 8, 4);
      if (!found || !value) return std::nullopt;
      if (*found == tag) return entry;
    }
    return std::nullopt;
  }

  std::optional<uint64_t> Number(uint64_t at, size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) return std::nullopt;
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = value << 8 | static_cast<uint8_t>(bytes_[at + (little_ ? size - 1 - i : i)]);
    }
    return value;
  }

  std::string_view bytes_;
  bool little_ = false, known_ = false;
};

}  // namespace

std::string MakeExif(const PictureText& text) {
  ordered_json note = ordered_json::object();
  std::optional<std::string> parameters;
  for (const auto& [keyword, value] : text) {
    if (FindInvalidUtf8(value) != std::string_view::npos) {
      throw Error(ErrorCode::kInvalidArgument, "the text \"" + keyword + "\" of a picture must be UTF-8");
    }
    if (keyword == kParametersKeyword) {
      parameters = value;
    } else {
      note[keyword] = value;
    }
  }
  std::vector<Entry> entries;
  if (!note.empty()) entries.push_back({kMakerNote, std::string(kOurNote) + note.dump()});
  if (parameters) entries.push_back({kUserComment, std::string(kUnicode) + Utf16(*parameters)});
  if (entries.empty()) return "";

  constexpr uint32_t kFirst = 8, kSecond = kFirst + 2 + kEntryBytes + 4;
  std::string out("MM\0\x2a", 4);
  Append32(kFirst, out);
  Append16(1, out);
  AppendEntry(kExifFolder, kLong, 1, kSecond, out);
  Append32(0, out);  // no folder follows
  Append16(static_cast<uint32_t>(entries.size() + 1), out);
  AppendEntry(kExifVersion, kUndefined, 4, 0x30323332, out);  // "0232"
  auto place = static_cast<uint32_t>(kSecond + 2 + kEntryBytes * (entries.size() + 1) + 4);
  for (const Entry& entry : entries) {
    const auto size = static_cast<uint32_t>(entry.value.size());
    AppendEntry(entry.tag, kUndefined, size, place, out);
    place += size + size % 2;
  }
  Append32(0, out);
  for (const Entry& entry : entries) {
    out += entry.value;
    if (entry.value.size() % 2 != 0) out += '\0';
  }
  return out;
}

namespace {

// Our JSON object; what is none has no text.
PictureText ReadNote(std::string_view note) {
  constexpr JsonBounds kNote{.bytes = kMostExifTextBytes, .depth = 2, .values = 1000};
  PictureText text;
  try {
    const ordered_json json = ParseOrderedJson(note, kNote);
    if (!json.is_object()) return text;
    for (const auto& [keyword, value] : json.items()) {
      if (value.is_string()) text.emplace_back(keyword, value.get<std::string>());
    }
  } catch (const JsonError&) {
  }
  return text;
}

}  // namespace

PictureText ReadExifText(std::string_view exif) {
  const Block block(exif);
  const auto first = block.First();
  const auto folder = first ? block.FolderBehind(*first, kExifFolder) : std::nullopt;
  PictureText text;
  if (!folder) return text;
  if (const auto note = block.Find(*folder, kMakerNote); note && note->substr(0, kOurNote.size()) == kOurNote) {
    for (auto& entry : ReadNote(note->substr(kOurNote.size()))) text.push_back(std::move(entry));
  }
  if (const auto comment = block.Find(*folder, kUserComment);
      comment && comment->substr(0, kUnicode.size()) == kUnicode && comment->size() <= kMostExifTextBytes) {
    text.emplace_back(kParametersKeyword, Utf8(comment->substr(kUnicode.size())));
  }
  return text;
}

int ReadExifOrientation(std::string_view exif) {
  const Block block(exif);
  const auto first = block.First();
  const auto orientation = first ? block.FindNumber(*first, kOrientation) : std::nullopt;
  return orientation && *orientation >= 1 && *orientation <= 8 ? static_cast<int>(*orientation) : 1;
}

}  // namespace diptych
