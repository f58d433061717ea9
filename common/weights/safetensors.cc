#include "common/weights/safetensors.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"

namespace diptych {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
// The format allows 100 MB. Published checkpoints have up to some hundred KB, merged ones of many experts a few MB.
constexpr uint64_t kMaxHeaderBytes = 16 << 20;
constexpr size_t kMaxNameBytes = 1024;
// Header, tensor, shape. A tensor has some nine values: about 110 000 tensors in one file.
constexpr JsonBounds kHeader{.bytes = kMaxHeaderBytes, .depth = 3, .values = 1'000'000, .members = 250'000};

[[noreturn]] void Damaged(const std::string& where, const std::string& problem) {
  throw Error(ErrorCode::kDataLoss, where + ": " + problem);
}

std::string Excerpt(const json& value) { return JsonExcerpt(value); }

// A number that is not negative and fits int64.
std::optional<int64_t> AsCount(const json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > INT64_MAX) return std::nullopt;
  return value.get<int64_t>();
}

std::vector<int64_t> ReadCounts(const json& tensor, const char* key, const std::string& where) {
  const auto found = tensor.find(key);
  if (found == tensor.end() || !found->is_array()) Damaged(where, std::string("expected an array \"") + key + "\"");
  std::vector<int64_t> counts;
  counts.reserve(found->size());
  for (const json& value : *found) {
    const std::optional<int64_t> count = AsCount(value);
    if (!count)
      Damaged(where, std::string("\"") + key + "\" holds " + Excerpt(value) + ", expected whole numbers from 0");
    counts.push_back(*count);
  }
  return counts;
}

std::string ReadDtypeName(const json& tensor, const std::string& where) {
  const auto found = tensor.find("dtype");
  if (found == tensor.end() || !found->is_string()) Damaged(where, "expected a string \"dtype\"");
  return found->get<std::string>();
}

Dtype DtypeOf(std::string_view name) {
  for (const DtypeFacts& facts : AllDtypes()) {
    if (facts.name == name && facts.block_elements == 1) return facts.dtype;  // it knows no blocks
  }
  return Dtype::kOther;
}

// No model has a tensor of any other name, and no line of a log could show it.
bool IsUsualName(const std::string& name) {
  return name.size() <= kMaxNameBytes &&
         std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// A tensor and its place in the data part of the file, [begin, end).
struct PlacedTensor {
  TensorEntry entry;
  uint64_t begin;
  uint64_t end;
  std::string Range() const { return std::string("[") + std::to_string(begin) + ", " + std::to_string(end) + ")"; }
};

// One entry of the header, complete but for the pointer.
PlacedTensor ReadTensor(const std::string& name, const json& tensor, const std::string& path) {
  const std::string where = path + ": tensor " + (IsUsualName(name) ? name : Excerpt(name));
  if (!tensor.is_object()) Damaged(where, "expected an object with dtype, shape and data_offsets");
  const std::string dtype = ReadDtypeName(tensor, where);
  PlacedTensor placed{{name, DtypeOf(dtype), ReadCounts(tensor, "shape", where), nullptr, 0, ""}, 0, 0};
  const std::vector<int64_t> offsets = ReadCounts(tensor, "data_offsets", where);
  if (offsets.size() != 2) Damaged(where, "data_offsets has " + std::to_string(offsets.size()) + " values, expected 2");
  placed.begin = static_cast<uint64_t>(offsets[0]);
  placed.end = static_cast<uint64_t>(offsets[1]);
  if (placed.begin > placed.end) Damaged(where, "data_offsets " + placed.Range() + " run backwards");
  if (placed.entry.dtype == Dtype::kOther) {
    placed.entry.other_dtype = dtype;
    placed.entry.byte_count = placed.end - placed.begin;
    return placed;
  }
  const std::optional<uint64_t> byte_count = ByteCount(placed.entry.shape, placed.entry.dtype);
  if (!byte_count) Damaged(where, "shape " + ShapeText(placed.entry.shape).substr(0, 200) + " is larger than any file");
  if (placed.end - placed.begin != *byte_count) {
    Damaged(where, "shape " + ShapeText(placed.entry.shape).substr(0, 200) + " in " +
                       std::string(DtypeName(placed.entry.dtype)) + " needs " + std::to_string(*byte_count) +
                       " bytes, data_offsets " + placed.Range() + " hold " + std::to_string(placed.end - placed.begin));
  }
  placed.entry.byte_count = *byte_count;
  return placed;
}

// Sorts by place and demands that the tensors follow one another without overlap or hole. Returns where the last one
// ends.
uint64_t CheckContiguous(std::vector<PlacedTensor>& tensors, const std::string& path) {
  std::sort(tensors.begin(), tensors.end(), [](const PlacedTensor& a, const PlacedTensor& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t position = 0;
  for (const PlacedTensor& tensor : tensors) {
    if (tensor.begin != position) {
      Damaged(path + ": tensor " + tensor.entry.name,
              "data_offsets " + tensor.Range() +
                  (tensor.begin < position ? " overlap another tensor" : " leave a hole") + ", expected to begin at " +
                  std::to_string(position));
    }
    position = tensor.end;
  }
  return position;
}

std::map<std::string, std::string> ReadMetadata(const json& value, const std::string& path) {
  if (value.is_null()) return {};  // some quantizers write it
  if (!value.is_object()) Damaged(path, "__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) Damaged(path, "__metadata__ value of " + Excerpt(key) + " is not a string");
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

}  // namespace

std::shared_ptr<const SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  return Open(std::make_shared<const MappedFile>(path), path);
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::Open(std::shared_ptr<const MappedFile> mapping,
                                                             const std::string& path) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = path;
  const std::span<const uint8_t> bytes = mapping->bytes();
  try {
    file->Read(bytes);
  } catch (const Error& error) {
    RefuseWeightsFile(error, path, bytes, /*is_of_its_kind=*/false);
  }
  if (!mapping->copied_because().empty()) file->warnings_.push_back(mapping->copied_because());
  file->mapping_ = std::move(mapping);
  return file;
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::Parse(std::span<const uint8_t> bytes, const std::string& name) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = name;
  file->Read(bytes);
  return file;
}

namespace {

uint64_t HeaderBytes(std::span<const uint8_t> bytes, const std::string& name) {
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) header_bytes |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  if (header_bytes <= kMaxHeaderBytes) return header_bytes;
  Damaged(name, "header length " + std::to_string(header_bytes) + " exceeds " + std::to_string(kMaxHeaderBytes) +
                    "; is this a safetensors file?");
}

}  // namespace

void CheckSafetensorsBegin(std::span<const uint8_t> begin, const std::string& name) {
  if (begin.size() < kSafetensorsBeginBytes) return;
  // The format's own words: it must begin with {, and white space may stand after the object alone.
  if (HeaderBytes(begin, name) < 2 || begin[kLengthBytes] != '{') {
    Damaged(name, "its header does not begin with {; is this a safetensors file?");
  }
}

void SafetensorsFile::Read(std::span<const uint8_t> bytes) {
  if (bytes.size() < kLengthBytes) {
    Damaged(path_, "file is truncated: expected at least 8 bytes, found " + std::to_string(bytes.size()));
  }
  const uint64_t header_bytes = HeaderBytes(bytes, path_);
  if (header_bytes > bytes.size() - kLengthBytes) {
    Damaged(path_, "file is truncated: expected at least " + std::to_string(kLengthBytes + header_bytes) +
                       " bytes, found " + std::to_string(bytes.size()));
  }
  const std::string_view header_text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, header_bytes);
  std::vector<std::string> repeated;
  const json header = ParseStrictJson(header_text, path_ + ": header", kHeader, &repeated);
  if (!repeated.empty()) {
    warnings_.push_back(path_ + ": its header has " + Excerpt(repeated[0]) + " twice; the last one counts");
  }
  std::vector<PlacedTensor> placed;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      metadata_ = ReadMetadata(value, path_);
    } else {
      placed.push_back(ReadTensor(name, value, path_));
    }
  }
  const std::span<const uint8_t> data = bytes.subspan(kLengthBytes + header_bytes);
  const uint64_t data_bytes = CheckContiguous(placed, path_);
  if (data_bytes != data.size()) {
    Damaged(path_,
            std::string(data_bytes > data.size() ? "file is truncated" : "file has bytes after its last tensor") +
                ": expected " + std::to_string(bytes.size() - data.size() + data_bytes) + " bytes, found " +
                std::to_string(bytes.size()));
  }
  size_t passed_over = 0;
  for (PlacedTensor& tensor : placed) {
    tensor.entry.data = data.data() + tensor.begin;
    std::string name = tensor.entry.name;
    if (!IsUsualName(name)) {
      if (passed_over++ == 0) {
        warnings_.push_back(path_ + ": a tensor is passed over, for no model has one of this name: " + Excerpt(name));
      }
      continue;
    }
    tensors_.emplace(std::move(name), std::move(tensor.entry));
  }
  if (passed_over > 1) warnings_.back() += " and " + std::to_string(passed_over - 1) + " more";
}

}  // namespace diptych
