#include "common/weights/fingerprint_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/digest/sha256.h"
#include "common/files/transfer.h"
#include "common/files/unfinished_file.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// The file: a line of what it is, a line of the facts, a line for each place, a line with the hash of all before it.
constexpr std::string_view kBegin = "diptych fingerprints 1\n";
constexpr size_t kSumLine = 4 + 64 + 1;  // "sum HEX\n"

// Its name in the folder; empty: the path leads nowhere.
std::string NameOf(const MappedFile& file) {
  std::error_code error;
  const fs::path canonical = fs::canonical(file.path(), error);
  return error ? "" : Sha256Hex(canonical.string());
}

std::string TextOf(const std::string& name, const FileFacts& facts, const PlaceHashes& hashes) {
  std::string text(kBegin);
  text += "file " + name;
  for (const uint64_t number : {facts.device, facts.inode}) text += " " + std::to_string(number);
  for (const int64_t number : {facts.size, facts.mtime_ns, facts.ctime_ns}) text += " " + std::to_string(number);
  text += "\n";
  for (const auto& [place, hash] : hashes) {
    text += std::to_string(place.offset) + " " + std::to_string(place.byte_count) + " " + hash + "\n";
  }
  return text + "sum " + Sha256Hex(text) + "\n";
}

// Reads from the front of a text; once something is not there nothing is.
struct Cursor {
  std::string_view rest;
  bool good = true;

  void Literal(std::string_view expected) {
    good = good && rest.starts_with(expected);
    if (good) rest.remove_prefix(expected.size());
  }
  template <typename Number>
  void Take(Number& number) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    good = good && error == std::errc();
    if (good) rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  }
  std::string TakeHash() {
    std::string hash(rest.substr(0, 64));
    good = good && IsSha256Hex(hash);
    if (good) rest.remove_prefix(64);
    return hash;
  }
};

std::optional<FingerprintCache::Entry> Parse(std::string_view text, const std::string& name) {
  if (text.size() < kSumLine) return std::nullopt;
  const std::string_view body = text.substr(0, text.size() - kSumLine);
  if (text.substr(body.size()) != "sum " + Sha256Hex(body) + "\n") return std::nullopt;
  FingerprintCache::Entry entry;
  Cursor cursor{body};
  cursor.Literal(kBegin);
  cursor.Literal("file " + name);
  for (uint64_t* number : {&entry.facts.device, &entry.facts.inode}) {
    cursor.Literal(" ");
    cursor.Take(*number);
  }
  for (int64_t* number : {&entry.facts.size, &entry.facts.mtime_ns, &entry.facts.ctime_ns}) {
    cursor.Literal(" ");
    cursor.Take(*number);
  }
  cursor.Literal("\n");
  while (cursor.good && !cursor.rest.empty()) {
    FilePlace place;
    cursor.Take(place.offset);
    cursor.Literal(" ");
    cursor.Take(place.byte_count);
    cursor.Literal(" ");
    std::string hash = cursor.TakeHash();
    cursor.Literal("\n");
    const auto size = static_cast<uint64_t>(entry.facts.size);
    cursor.good = cursor.good && place.offset <= size && place.byte_count <= size - place.offset;
    entry.hashes.insert_or_assign(place, std::move(hash));
  }
  if (!cursor.good) return std::nullopt;
  return entry;
}

bool IsOursAlone(const struct stat& info) {
  return info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::string Message(int error_number) { return std::generic_category().message(error_number); }

// With those above it, each for this user alone.
void MakeFolders(const fs::path& folder) {
  if (folder.has_parent_path() && folder.parent_path() != folder) {
    std::error_code ignored;
    if (!fs::exists(folder.parent_path(), ignored)) MakeFolders(folder.parent_path());
  }
  mkdir(folder.c_str(), 0700);
}

}  // namespace

// Negative, and why, when there is none that could be used.
FileDescriptor FingerprintCache::OpenFolder(std::string* problem) const {
  FileDescriptor folder(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (folder.get() < 0 || fstat(folder.get(), &info) != 0) {
    const bool is_link = errno == ELOOP || (errno == ENOTDIR && fs::is_symlink(fs::symlink_status(folder_)));
    *problem = folder_.string() + ": " + (is_link ? "a link" : Message(errno));
    return FileDescriptor();
  }
  if (!IsOursAlone(info)) {
    *problem = folder_.string() + ": another user's, or others may write to it";
    return FileDescriptor();
  }
  return folder;
}

std::optional<FingerprintCache::Entry> FingerprintCache::Find(const MappedFile& file) const {
  std::string ignored;
  if (folder_.empty()) return std::nullopt;
  const std::string name = NameOf(file);
  const FileDescriptor folder = OpenFolder(&ignored);
  if (folder.get() < 0 || name.empty()) return std::nullopt;
  const FileDescriptor own(openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (own.get() < 0 || fstat(own.get(), &info) != 0 || !S_ISREG(info.st_mode) || !IsOursAlone(info))
    return std::nullopt;
  if (info.st_size > static_cast<off_t>(kMostBytes)) return std::nullopt;
  std::string text(static_cast<size_t>(info.st_size), '\0');
  if (ReadAll(own.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return std::nullopt;
  std::optional<Entry> entry = Parse(text, name);
  if (entry) futimens(own.get(), nullptr);  // used; where that cannot be written down it is not
  return entry;
}

PlaceHashes FingerprintCache::Known(const MappedFile& file) const {
  std::optional<Entry> entry = Find(file);
  return entry && entry->facts == file.facts() ? std::move(entry->hashes) : PlaceHashes();
}

bool FingerprintCache::IsSettled(const MappedFile& file) const {
  return file.FactsNow() == file.facts() && !just_changed_(file.facts());
}

std::string FingerprintCache::Keep(const MappedFile& file, const PlaceHashes& hashes) const {
  if (folder_.empty()) return "";
  const std::string name = NameOf(file);
  if (name.empty() || file.FactsNow() != file.facts()) return file.path() + " changed meanwhile";
  PlaceHashes all = Known(file);
  for (const auto& [place, hash] : hashes) all.insert_or_assign(place, hash);
  std::string text = TextOf(name, file.facts(), all);
  if (text.size() > kMostBytes) text = TextOf(name, file.facts(), hashes);
  if (text.size() > kMostBytes) return "there are too many tensors in it";
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(folder_, ignored))) MakeFolders(folder_);
  std::string problem;
  if (OpenFolder(&problem).get() < 0) return problem;
  try {
    UnfinishedFile own(folder_ / name);
    own.Write(text);
    own.Rename(folder_ / name);  // without a sync: one that a power cut tore is noticed by its sum
  } catch (const FileError& error) {
    return error.what();
  }
  RemoveOldest();
  return "";
}

void FingerprintCache::RemoveOldest() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code gone;
    const fs::file_time_type written = fs::last_write_time(entry->path(), gone);
    if (IsSha256Hex(name)) {
      files.emplace_back(gone ? fs::file_time_type::min() : written, entry->path());
    } else if (IsUnfinishedName(name) && !gone && fs::file_time_type::clock::now() - written > std::chrono::hours(1)) {
      unlink(entry->path().c_str());  // its writer was killed
    }
  }
  if (files.size() <= kMostFiles) return;
  const auto first_kept = files.end() - static_cast<std::ptrdiff_t>(kMostFiles);
  std::nth_element(files.begin(), first_kept, files.end());
  for (auto file = files.begin(); file != first_kept; ++file) unlink(file->second.c_str());
}

}  // namespace diptych
