#include "common/source_files/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFirstBytes = 512;
// What wget, browsers, aria2 and the Hugging Face library call a file until it is whole.
constexpr std::string_view kUnfinished[] = {".incomplete", ".aria2", ".part", ".crdownload",
                                            ".download",   ".tmp",   ".!qB",  ".partial"};

std::string_view AfterSpace(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == text.npos ? std::string_view() : text.substr(begin);
}

bool BeginsWithNoCase(std::string_view text, std::string_view begin) {
  return text.size() >= begin.size() && std::equal(begin.begin(), begin.end(), text.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
         });
}

}  // namespace

std::string FileKind(std::span<const uint8_t> first_bytes, uint64_t size) {
  using namespace std::string_view_literals;
  if (size == 0) return "an empty file: its download has not begun, or its disk was full";
  const std::string_view all(reinterpret_cast<const char*>(first_bytes.data()), first_bytes.size());
  const std::string_view text = AfterSpace(all);
  const auto begins = [&](std::string_view magic) { return all.starts_with(magic); };
  if (begins("version https://git-lfs"sv)) {
    return "a git-lfs pointer, the few lines that stand for the file in a clone made without git-lfs: run `git lfs "
           "install` and `git lfs pull` in that folder, or download the file itself";
  }
  for (const std::string_view begin : {"<!doctype html"sv, "<html"sv, "<head"sv}) {
    if (BeginsWithNoCase(text, begin)) {
      return "a page (HTML) that was saved in place of the file: use its download link, not that of its page, and log "
             "in where that is asked for";
    }
  }
  if (begins("<?xml"sv) || begins("<Error>"sv)) return "an error message of a server (XML), saved in place of the file";
  for (const std::string_view begin : {"Entry not found"sv, "Repository not found"sv, "Invalid username or password"sv,
                                       "Access to model"sv, "Not Found"sv, "{\"error\""sv}) {
    if (text.starts_with(begin)) {
      return "an error message of the server (\"" + std::string(begin == "{\"error\"" ? "error" : begin) +
             "\"), saved in place of the file: check its address, and log in where that is asked for";
    }
  }
  if (begins("GGUF"sv)) {
    return "a GGUF file, as llama.cpp and ComfyUI-GGUF use: one part of a model, to be given by itself as "
           "--transformer-path or --text-encoder-path";
  }
  if (begins("PK\3\4"sv)) {
    return "a zip archive: unpack it, or, if it is a PyTorch checkpoint (.bin, .pt, .pth, .ckpt), take the model's "
           "*.safetensors instead, which is what is read";
  }
  if (begins("\x80\2"sv) || begins("\x80\3"sv) || begins("\x80\4"sv) || begins("\x80\5"sv)) {
    return "a pickled PyTorch checkpoint (.bin, .pt, .pth, .ckpt): only *.safetensors are read";
  }
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kArchives = {{{"7z\xbc\xaf\x27\x1c"sv, "7z"},
                                                                                       {"\x1f\x8b"sv, "gzip"},
                                                                                       {"\xfd\x37zXZ"sv, "xz"},
                                                                                       {"\x28\xb5\x2f\xfd"sv, "zstd"},
                                                                                       {"BZh"sv, "bzip2"},
                                                                                       {"Rar!"sv, "RAR"}}};
  for (const auto& [magic, name] : kArchives) {
    if (begins(magic)) return "a " + std::string(name) + " archive: unpack it";
  }
  if (begins("\x89HDF\r\n"sv)) return "an HDF5 file (Keras, TensorFlow): only *.safetensors are read";
  if (begins("\xff\xfe"sv) || begins("\xfe\xff"sv)) return "text in UTF-16: save it as UTF-8";
  if (all.size() >= 16 && std::all_of(all.begin(), all.end(), [](char c) { return c == 0; })) {
    return "nothing but zeros at its beginning: a download that has reserved its place and has not ended, or a damaged "
           "disk";
  }
  return "";
}

std::string FileKind(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return "";
  const uint64_t size = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kFirstBytes, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (error || file.bad() || !file.is_open()) return "";
  return FileKind({reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<size_t>(file.gcount())}, size);
}

bool IsGguf(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  std::ifstream file(path, std::ios::binary);
  std::string magic(4, '\0');
  return file.read(magic.data(), 4) && magic == "GGUF";
}

std::string UnfinishedDownloadOf(const std::string& path) {
  const fs::path wanted(path);
  const std::string name = wanted.filename().string();
  for (const std::string_view ending : kUnfinished) {
    const std::string beside = name + std::string(ending);
    std::error_code ignored;
    if (fs::exists(wanted.parent_path() / beside, ignored)) {
      return ", but " + beside + " lies beside it: its download has not ended";
    }
  }
  return "";
}

}  // namespace diptych
