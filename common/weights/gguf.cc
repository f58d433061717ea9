#include "common/weights/gguf.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/error/error.h"
#include "common/foreign_text/escape.h"
#include "common/foreign_text/foreign_text.h"
#include "common/weights/ggml_type.h"

namespace diptych {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr uint64_t kDefaultAlignment = 32;

// Everything before the data. A vocabulary of 262 144 tokens with its merges takes 15 MB.
constexpr uint64_t kMaxHeaderBytes = 64 << 20;
constexpr uint64_t kMaxTensors = 100'000;
constexpr uint64_t kMaxEntries = 200'000;  // some writers have one for each tensor
constexpr uint64_t kMaxTexts = 2'000'000;  // in all arrays together; the vocabulary above has 800 000
constexpr uint32_t kMaxDimensions = 4;     // as in ggml
constexpr int kMaxDepth = 4;               // of arrays in each other; nobody writes any
constexpr size_t kMaxNameBytes = 1024;     // of a tensor or a key
constexpr uint64_t kLeastArrayBytes = 12;  // type and count of an array in an array
constexpr uint64_t kLengthBytes = 8;       // of a string

struct ValueTypeFacts {
  std::string_view name;
  uint64_t bytes;  // of a number; 0: no number
};
constexpr std::array<ValueTypeFacts, 13> kValueTypes = {{{"u8", 1},
                                                         {"i8", 1},
                                                         {"u16", 2},
                                                         {"i16", 2},
                                                         {"u32", 4},
                                                         {"i32", 4},
                                                         {"f32", 4},
                                                         {"bool", 1},
                                                         {"string", 0},
                                                         {"array", 0},
                                                         {"u64", 8},
                                                         {"i64", 8},
                                                         {"f64", 8}}};

const ValueTypeFacts& FactsOf(GgufValueType type) { return kValueTypes[static_cast<size_t>(type)]; }

bool IsFloat(GgufValueType type) { return type == GgufValueType::F32 || type == GgufValueType::F64; }
bool IsWhole(GgufValueType type) { return FactsOf(type).bytes > 0 && !IsFloat(type) && type != GgufValueType::kBool; }

template <typename Number>
Number Load(const uint8_t* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof(number));
  return number;
}

template <typename Number>
Number LoadAs(GgufValueType type, const uint8_t* bytes) {
  switch (type) {
    case GgufValueType::U8:
      return static_cast<Number>(Load<uint8_t>(bytes));
    case GgufValueType::I8:
      return static_cast<Number>(Load<int8_t>(bytes));
    case GgufValueType::U16:
      return static_cast<Number>(Load<uint16_t>(bytes));
    case GgufValueType::I16:
      return static_cast<Number>(Load<int16_t>(bytes));
    case GgufValueType::U32:
      return static_cast<Number>(Load<uint32_t>(bytes));
    case GgufValueType::I32:
      return static_cast<Number>(Load<int32_t>(bytes));
    case GgufValueType::U64:
      return static_cast<Number>(Load<uint64_t>(bytes));
    case GgufValueType::I64:
      return static_cast<Number>(Load<int64_t>(bytes));
    case GgufValueType::F32:
      return static_cast<Number>(Load<float>(bytes));
    case GgufValueType::F64:
      return static_cast<Number>(Load<double>(bytes));
    default:
      return 0;  // no number
  }
}

// Whether the value, or every element of it, fits int64_t.
bool FitsInteger(const GgufValue& value) {
  if (!IsWhole(value.element_type)) return false;
  if (value.element_type != GgufValueType::U64) return true;
  for (uint64_t i = 0; i < value.count; ++i) {
    if (Load<uint64_t>(value.bytes.data() + 8 * i) > INT64_MAX) return false;
  }
  return true;
}

bool IsNumber(const GgufValue& value) { return IsFloat(value.element_type) || IsWhole(value.element_type); }

// No model has a tensor or a key of any other name, and no line of a log could show it.
bool IsUsualName(std::string_view name) { return name.size() <= kMaxNameBytes && EscapeText(name) == name; }

[[noreturn]] void Damaged(const std::string& where, const std::string& problem) {
  throw Error(ErrorCode::kDataLoss, where + ": " + problem);
}

uint64_t AlignUp(uint64_t position, uint64_t alignment) { return (position + alignment - 1) & ~(alignment - 1); }

// What stands before the data, from its beginning on.
class HeaderReader {
 public:
  HeaderReader(std::span<const uint8_t> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  // For messages: "metadata entry 3" while its key is not known, then "metadata KEY".
  void IsAt(std::string_view part, uint64_t index) { part_ = {part, index, {}}; }
  void IsAt(std::string_view part, std::string_view name) { part_ = {part, 0, name}; }
  std::string Where() const { return path_ + ": " + Part(); }
  uint64_t position() const { return position_; }

  [[noreturn]] void Refuse(const std::string& problem) const { Damaged(Where(), problem); }

  // That `count` things of at least `bytes_each` may follow.
  void Expect(uint64_t count, uint64_t bytes_each) const {
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(count, bytes_each, &bytes) || bytes > kMaxHeaderBytes - position_) {
      Refuse("it announces " + std::to_string(count) + (bytes_each > 1 ? " times " + std::to_string(bytes_each) : "") +
             " bytes, and all that stands before the data has at most " + std::to_string(kMaxHeaderBytes));
    }
    if (bytes > bytes_.size() - position_) {
      Damaged(path_, "file is truncated: " + std::to_string(bytes_.size()) + " bytes of at least " +
                         std::to_string(position_ + bytes) + ", it ends in " + Part());
    }
  }

  std::span<const uint8_t> Bytes(uint64_t count, uint64_t bytes_each = 1) {
    Expect(count, bytes_each);
    const std::span<const uint8_t> found = bytes_.subspan(position_, count * bytes_each);
    position_ += found.size();
    return found;
  }

  template <typename Number>
  Number Take() {
    return Load<Number>(Bytes(sizeof(Number)).data());
  }

  std::string_view Text() {
    const std::span<const uint8_t> text = Bytes(Take<uint64_t>());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  GgufValueType ValueType() {
    const auto number = Take<uint32_t>();
    if (number >= kValueTypes.size()) Refuse("value type " + std::to_string(number) + ", expected 0 to 12");
    return static_cast<GgufValueType>(number);
  }

  GgufValue Value() {
    const GgufValueType type = ValueType();
    if (type == GgufValueType::kArray) return Array(1);
    if (type == GgufValueType::kString) {
      const std::string_view text = Text();
      return {type, type, 1, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}, {}};
    }
    return {type, type, 1, Bytes(FactsOf(type).bytes), {}};
  }

 private:
  std::string Part() const {
    const std::string what(part_.what);
    if (part_.index > 0) return what + " " + std::to_string(part_.index);
    return part_.name.empty() ? what : what + " " + ForeignText(part_.name);
  }

  // Behind the type. Of arrays of arrays the extent is read, so that what follows can be.
  GgufValue Array(int depth) {
    if (depth > kMaxDepth) Refuse("arrays in each other deeper than " + std::to_string(kMaxDepth) + " levels");
    GgufValue value = {GgufValueType::kArray, ValueType(), Take<uint64_t>(), {}, {}};
    const uint64_t begin = position_;
    if (value.element_type == GgufValueType::kArray) {
      Expect(value.count, kLeastArrayBytes);
      for (uint64_t i = 0; i < value.count; ++i) Array(depth + 1);
      value.bytes = bytes_.subspan(begin, position_ - begin);
    } else if (value.element_type == GgufValueType::kString) {
      Expect(value.count, kLengthBytes);
      texts_ += value.count;
      if (texts_ > kMaxTexts) {
        Refuse("with its " + std::to_string(value.count) + " the file has more than " + std::to_string(kMaxTexts) +
               " strings in arrays");
      }
      value.texts.reserve(value.count);
      for (uint64_t i = 0; i < value.count; ++i) value.texts.push_back(Text());
    } else {
      value.bytes = Bytes(value.count, FactsOf(value.element_type).bytes);
    }
    return value;
  }

  const std::span<const uint8_t> bytes_;
  const std::string& path_;
  uint64_t position_ = 0;  // at most kMaxHeaderBytes and at most bytes_.size()
  uint64_t texts_ = 0;
  struct {
    std::string_view what;
    uint64_t index;         // from 1; 0: it has a name, or is the only one
    std::string_view name;  // in the file
  } part_ = {"its beginning", 0, {}};
};

uint64_t ReadCount(HeaderReader& reader, std::string_view what, uint64_t most) {
  reader.IsAt(what, 0);
  const auto count = reader.Take<uint64_t>();
  if (count > most) reader.Refuse(std::to_string(count) + ", expected at most " + std::to_string(most));
  return count;
}

// A tensor and its place behind the beginning of the data.
struct PlacedTensor {
  TensorEntry tensor;
  uint64_t begin;
  uint64_t end;
};

const GgmlType* ReadType(HeaderReader& reader) {
  const auto number = reader.Take<uint32_t>();
  const GgmlType* const facts = GgmlTypeOf(number);
  if (facts == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                reader.Where() + ": it has ggml's type number " + std::to_string(number) +
                    ", which this program does not know: quantise the model as Q8_0, say, or look for a newer Diptych");
  }
  if (facts->block_elements == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                reader.Where() + ": its type " + std::string(facts->name) +
                    " was taken out of ggml: look for a newer file of this model, or quantise it anew");
  }
  return facts;
}

// One entry of the list, complete but for the pointer.
PlacedTensor ReadTensor(HeaderReader& reader, uint64_t index) {
  reader.IsAt("tensor", index + 1);
  const std::string_view name = reader.Text();
  reader.IsAt("tensor", name);
  const auto dimensions = reader.Take<uint32_t>();
  if (dimensions > kMaxDimensions) {
    reader.Refuse("it has " + std::to_string(dimensions) + " dimensions, expected at most " +
                  std::to_string(kMaxDimensions));
  }
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto dimension = reader.Take<uint64_t>();
    if (dimension > INT64_MAX) {
      reader.Refuse("a dimension is " + std::to_string(dimension) + ", expected at most " + std::to_string(INT64_MAX));
    }
    shape.insert(shape.begin(), static_cast<int64_t>(dimension));
  }
  const GgmlType* const type = ReadType(reader);
  const int64_t row = shape.empty() ? 1 : shape.back();
  if (row % type->block_elements != 0) {
    reader.Refuse("shape " + ShapeText(shape) + " in " + std::string(type->name) + " has rows of " +
                  std::to_string(row) + ", expected a multiple of " + std::to_string(type->block_elements));
  }
  const std::optional<uint64_t> byte_count = ByteCount(shape, type->block_elements, type->block_bytes);
  const auto begin = reader.Take<uint64_t>();
  uint64_t end = 0;
  if (!byte_count) reader.Refuse("shape " + ShapeText(shape) + " is larger than any file");
  if (__builtin_add_overflow(begin, *byte_count, &end) || end > INT64_MAX) {
    reader.Refuse(std::to_string(*byte_count) + " bytes at offset " + std::to_string(begin) + " lie beyond any file");
  }
  return {{std::string(name), type->dtype, std::move(shape), nullptr, *byte_count,
           type->dtype == Dtype::kOther ? std::string(type->name) : ""},
          begin,
          end};
}

// Demands that the data hold all of them. Whoever writes a file leaves no hole, so a tensor beyond the file and beyond
// all bytes of the others has a wrong offset; else the file has lost its end.
void CheckInside(const std::vector<PlacedTensor>& tensors, uint64_t data_begin, uint64_t file_bytes, uint64_t alignment,
                 const std::string& path) {
  uint64_t all_bytes = 0;
  uint64_t end = 0;
  for (const PlacedTensor& placed : tensors) {
    // Each is below 2^63, and so is the sum while it is in question: a larger one is beyond any offset.
    all_bytes = std::min<uint64_t>(all_bytes + AlignUp(placed.tensor.byte_count, alignment), INT64_MAX);
    end = std::max(end, placed.end);
  }
  if (tensors.empty() || (data_begin <= file_bytes && end <= file_bytes - data_begin)) return;
  for (const PlacedTensor& placed : tensors) {
    if (placed.begin > all_bytes) {
      Damaged(path + ": tensor " + ForeignText(placed.tensor.name),
              "it begins at offset " + std::to_string(placed.begin) + ", expected at most " +
                  std::to_string(all_bytes) + ", the bytes of all tensors");
    }
  }
  Damaged(path, "file is truncated: " + std::to_string(file_bytes) + " bytes of " + std::to_string(data_begin + end));
}

// The first two that share bytes, in a line; empty: none do. The gguf package reads such a file, and so do we.
std::string Overlap(std::vector<PlacedTensor>& tensors, const std::string& path) {
  std::sort(tensors.begin(), tensors.end(), [](const PlacedTensor& a, const PlacedTensor& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const PlacedTensor* longest = nullptr;
  for (const PlacedTensor& placed : tensors) {
    if (longest != nullptr && placed.begin < longest->end && placed.begin < placed.end) {
      return path + ": tensors " + ForeignText(longest->tensor.name) + " and " + ForeignText(placed.tensor.name) +
             " share bytes";
    }
    if (longest == nullptr || placed.end > longest->end) longest = &placed;
  }
  return "";
}

// One line for all that are passed over, from the first one's name.
class PassedOver {
 public:
  void Add(std::string_view name) {
    if (count_++ == 0) first_ = QuotedForeignText(name);
  }
  void Tell(const std::string& path, const std::string& what, std::vector<std::string>& warnings) const {
    if (count_ == 0) return;
    warnings.push_back(path + ": " + what + " is passed over, for no model has one of this name: " + first_ +
                       (count_ > 1 ? " and " + std::to_string(count_ - 1) + " more" : ""));
  }

 private:
  size_t count_ = 0;
  std::string first_;
};

}  // namespace

std::string GgufValue::TypeText() const {
  if (type != GgufValueType::kArray) return std::string(FactsOf(type).name);
  return "array of " + std::string(FactsOf(element_type).name);
}

template <typename Number>
Number GgufNumbers<Number>::operator[](size_t i) const {
  return LoadAs<Number>(type_, bytes_ + i * FactsOf(type_).bytes);
}
template class GgufNumbers<int64_t>;
template class GgufNumbers<double>;

bool BeginsAsGguf(std::span<const uint8_t> bytes) {
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

void CheckGgufBegin(std::span<const uint8_t> begin, const std::string& name) {
  if (begin.size() < kGgufBeginBytes) return;
  if (!BeginsAsGguf(begin)) Damaged(name, "it does not begin with \"GGUF\"; is this a GGUF file?");
  const auto version = Load<uint32_t>(begin.data() + kMagic.size());
  if (version == 2 || version == 3) return;
  const auto refuse = [&](const std::string& problem) {
    throw Error(ErrorCode::kInvalidArgument, name + ": " + problem);
  };
  if (version == 1) {
    refuse("GGUF version 1, expected 2 or 3: look for a newer file of this model, or convert it anew");
  }
  // No version has its low half empty: it was written the other way round.
  if (version != 0 && (version & 0xffff) == 0) {
    refuse(
        "a GGUF file for big-endian machines, expected little-endian: convert it with `gguf-convert-endian FILE "
        "little` of Python's gguf package");
  }
  refuse("GGUF version " + std::to_string(version) + ", expected 2 or 3" +
         (version > 3 && version < 100 ? ": look for a newer Diptych" : ""));
}

std::shared_ptr<const GgufFile> GgufFile::Open(const std::string& path) {
  return Open(std::make_shared<const MappedFile>(path), path);
}

std::shared_ptr<const GgufFile> GgufFile::Open(std::shared_ptr<const MappedFile> mapping, const std::string& path) {
  std::shared_ptr<GgufFile> file(new GgufFile);
  file->path_ = path;
  const std::span<const uint8_t> bytes = mapping->bytes();
  try {
    file->Read(bytes);
  } catch (const Error& error) {
    RefuseWeightsFile(error, path, bytes, BeginsAsGguf(bytes));
  }
  if (!mapping->copied_because().empty()) file->warnings_.push_back(mapping->copied_because());
  file->mapping_ = std::move(mapping);
  return file;
}

std::shared_ptr<const GgufFile> GgufFile::Parse(std::span<const uint8_t> bytes, const std::string& name) {
  std::shared_ptr<GgufFile> file(new GgufFile);
  file->path_ = name;
  file->Read(bytes);
  return file;
}

void GgufFile::Read(std::span<const uint8_t> bytes) {
  HeaderReader reader(bytes, path_);
  CheckGgufBegin(reader.Bytes(kGgufBeginBytes), path_);
  const uint64_t tensor_count = ReadCount(reader, "number of tensors", kMaxTensors);
  const uint64_t entry_count = ReadCount(reader, "number of metadata entries", kMaxEntries);

  PassedOver entries_passed_over;
  for (uint64_t i = 0; i < entry_count; ++i) {
    reader.IsAt("metadata entry", i + 1);
    const std::string_view key = reader.Text();
    reader.IsAt("metadata", key);
    GgufValue value = reader.Value();
    if (!IsUsualName(key)) {
      entries_passed_over.Add(key);
    } else if (!metadata_.emplace(key, std::move(value)).second) {
      reader.Refuse("the key appears twice");
    }
  }
  entries_passed_over.Tell(path_, "a metadata entry", warnings_);

  std::vector<PlacedTensor> placed;
  for (uint64_t i = 0; i < tensor_count; ++i) placed.push_back(ReadTensor(reader, i));
  const uint64_t alignment = Alignment();
  const uint64_t data_begin = AlignUp(reader.position(), alignment);
  CheckInside(placed, data_begin, bytes.size(), alignment, path_);
  if (const std::string overlap = Overlap(placed, path_); !overlap.empty()) warnings_.push_back(overlap);

  PassedOver tensors_passed_over;
  for (PlacedTensor& found : placed) {
    found.tensor.data = bytes.data() + data_begin + found.begin;
    std::string name = found.tensor.name;
    if (!IsUsualName(name)) {
      tensors_passed_over.Add(name);
    } else if (!tensors_.emplace(name, std::move(found.tensor)).second) {
      Damaged(path_ + ": tensor " + name, "the name appears twice");
    }
  }
  tensors_passed_over.Tell(path_, "a tensor", warnings_);
  RestoreShapes();
}

// ComfyUI-GGUF writes tensors of more than two dimensions, and those whose rows are no whole number of blocks, in
// another shape, and the true one beside it.
void GgufFile::RestoreShapes() {
  for (auto& [name, tensor] : tensors_) {
    const std::string key = "comfy.gguf.orig_shape." + name;
    const std::optional<GgufNumbers<int64_t>> dimensions = Integers(key);
    if (!dimensions) continue;
    constexpr size_t kMostDimensions = 8;
    std::vector<int64_t> shape;
    for (size_t i = 0; i < std::min(dimensions->size(), kMostDimensions + 1); ++i) shape.push_back((*dimensions)[i]);
    if (shape.size() > kMostDimensions || ByteCount(shape, 1, 1) != ByteCount(tensor.shape, 1, 1)) {
      Damaged(path_ + ": metadata " + key, "the tensor has shape " + ShapeText(tensor.shape) +
                                               ", expected one of as many elements, found " + ShapeText(shape));
    }
    tensor.shape = std::move(shape);
  }
}

uint64_t GgufFile::Alignment() const {
  const GgufValue* const value = FindValue(kAlignmentKey);
  if (value == nullptr) return kDefaultAlignment;
  const std::string where = path_ + ": metadata " + std::string(kAlignmentKey);
  if (value->type != GgufValueType::U32) Damaged(where, "expected u32, found " + value->TypeText());
  const auto alignment = Load<uint32_t>(value->bytes.data());
  if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
    Damaged(where, "expected a power of two, found " + std::to_string(alignment));
  }
  return alignment;
}

const GgufValue* GgufFile::FindValue(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

void GgufFile::WrongType(std::string_view key, const std::string& expected, const std::string& found) const {
  throw Error(ErrorCode::kInvalidArgument,
              path_ + ": metadata " + std::string(key) + ": expected " + expected + ", found " + found);
}

std::optional<std::string_view> GgufFile::Text(std::string_view key) const {
  const GgufValue* const value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufValueType::kString) WrongType(key, "a string", value->TypeText());
  return std::string_view(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

std::optional<bool> GgufFile::Bool(std::string_view key) const {
  const GgufValue* const value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufValueType::kBool) WrongType(key, "a bool", value->TypeText());
  return value->bytes[0] != 0;
}

std::optional<int64_t> GgufFile::Integer(std::string_view key) const {
  const GgufValue* const value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (!IsWhole(value->type)) WrongType(key, "a whole number", value->TypeText());
  if (!FitsInteger(*value)) WrongType(key, "a number below 2^63", std::to_string(Load<uint64_t>(value->bytes.data())));
  return LoadAs<int64_t>(value->type, value->bytes.data());
}

std::optional<double> GgufFile::Number(std::string_view key) const {
  const GgufValue* const value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (value->type == GgufValueType::kArray || !IsNumber(*value)) WrongType(key, "a number", value->TypeText());
  return LoadAs<double>(value->type, value->bytes.data());
}

const std::vector<std::string_view>* GgufFile::Texts(std::string_view key) const {
  const GgufValue* const value = FindValue(key);
  if (value == nullptr) return nullptr;
  if (value->type != GgufValueType::kArray || value->element_type != GgufValueType::kString) {
    WrongType(key, "an array of strings", value->TypeText());
  }
  return &value->texts;
}

std::optional<GgufNumbers<int64_t>> GgufFile::Integers(std::string_view key) const {
  const GgufValue* const value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufValueType::kArray || !IsWhole(value->element_type)) {
    WrongType(key, "an array of whole numbers", value->TypeText());
  }
  if (!FitsInteger(*value)) WrongType(key, "numbers below 2^63", "a greater one");
  return GgufNumbers<int64_t>(*value);
}

std::optional<GgufNumbers<double>> GgufFile::Numbers(std::string_view key) const {
  const GgufValue* const value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufValueType::kArray || !IsNumber(*value))
    WrongType(key, "an array of numbers", value->TypeText());
  return GgufNumbers<double>(*value);
}

}  // namespace diptych
