// Any names and shapes are either refused with an Error that is one line, or parts that fit their layers and their
// tensors, with each tensor of the file counted once. The input is lines: "NAME|DTYPE|2,6", a tensor, or "@KEY|VALUE",
// metadata; each tensor's values are made from its name.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/lora/lora_file.h"

namespace {

using namespace diptych;

constexpr size_t kMostBytes = 1 << 16;  // of one file's values

const LoraModules& Modules() {
  static const LoraModules modules = {{"layers.0.attention.to_q", {6, 6}},
                                      {"layers.0.attention.to_k", {6, 6}},
                                      {"layers.0.attention.to_v", {6, 6}},
                                      {"layers.0.attention.to_out.0", {6, 6}},
                                      {"layers.0.feed_forward.w1", {8, 6}},
                                      {"layers.0.feed_forward.w2", {6, 8}},
                                      {"layers.0.adaLN_modulation.0", {24, 4}},
                                      {"all_x_embedder.2-1", {6, 12}},
                                      {"cap_embedder.1", {6, 5}}};
  return modules;
}

void Demand(bool holds) {
  if (!holds) std::abort();
}

std::string_view TakeUpTo(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

// A safetensors file of what the lines say, as far as it can be.
std::vector<uint8_t> FileOf(std::string_view text) {
  nlohmann::json header = nlohmann::json::object();
  size_t end = 0;
  while (!text.empty()) {
    std::string_view line = TakeUpTo(text, '\n');
    const std::string name(TakeUpTo(line, '|'));
    if (name.starts_with('@')) {
      header["__metadata__"][name.substr(1)] = std::string(line);
      continue;
    }
    const std::string dtype(TakeUpTo(line, '|'));
    std::vector<int64_t> shape;
    while (!line.empty() && shape.size() < 6) {
      const std::string_view digits = TakeUpTo(line, ',');
      shape.push_back(std::strtoll(std::string(digits.substr(0, 12)).c_str(), nullptr, 10));
    }
    size_t element = 1;
    for (const Dtype one : {Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::I64, Dtype::I32}) {
      if (DtypeName(one) == dtype) element = ByteSize(one);
    }
    const std::optional<uint64_t> count = ByteCount(shape, Dtype::U8);
    if (name.empty() || name == "__metadata__" || !count || *count > kMostBytes || end + *count * element > kMostBytes)
      continue;
    if (header.contains(name)) continue;
    header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {end, end + *count * element}}};
    end += *count * element;
  }
  const std::string json = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::vector<uint8_t> file(8 + json.size() + end);
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<uint8_t>(json.size() >> (8 * i));
  std::copy(json.begin(), json.end(), file.begin() + 8);
  for (size_t i = 0; i < end; ++i) file[8 + json.size() + i] = static_cast<uint8_t>((i * 37 + json.size()) ^ (i >> 3));
  return file;
}

struct Shape {
  int64_t rows, columns;
};

Shape ShapeOf(const TensorEntry& tensor) {
  Demand(tensor.shape.size() >= 2);
  return {tensor.shape[0], tensor.shape[1]};
}

Shape ShapeOf(const LoraFactor& factor) {
  Shape shape = ShapeOf(*factor.a);
  if (factor.b == nullptr) return shape;
  Demand(ShapeOf(*factor.b).rows == shape.columns);
  return {shape.rows, ShapeOf(*factor.b).columns};
}

Shape ShapeOf(const LowRankChange& change) {
  const int64_t rank = ShapeOf(*change.down).rows;
  Demand(rank == ShapeOf(*change.up).columns && rank > 0);
  if (change.mid != nullptr) Demand(ShapeOf(*change.mid).rows == rank && ShapeOf(*change.mid).columns == rank);
  return {ShapeOf(*change.up).rows, ShapeOf(*change.down).columns};
}
Shape ShapeOf(const HadamardChange& change) {
  const Shape w1 = ShapeOf(change.w1), w2 = ShapeOf(change.w2);
  Demand(w1.rows == w2.rows && w1.columns == w2.columns);
  return w1;
}
Shape ShapeOf(const KroneckerChange& change) {
  const Shape w1 = ShapeOf(change.w1), w2 = ShapeOf(change.w2);
  return {w1.rows * w2.rows, w1.columns * w2.columns};
}
Shape ShapeOf(const FullChange& change) { return ShapeOf(*change.difference); }
Shape ShapeOf(const BiasChange& change) {
  Demand(change.difference->shape.size() == 1);
  return {change.difference->shape[0], 1};
}

void Check(const LoraPart& part) {
  const auto module = Modules().find(part.module);
  Demand(module != Modules().end());
  const Shape shape = std::visit([](const auto& change) { return ShapeOf(change); }, part.change);
  const bool is_bias = std::holds_alternative<BiasChange>(part.change);
  Demand(part.rows == module->second[0] && part.columns == (is_bias ? 1 : module->second[1]));
  Demand(part.first_row >= 0 && part.first_row + part.rows <= shape.rows && part.columns == shape.columns);
  Demand(shape.rows == part.rows || shape.rows == 18);
  Demand(std::isfinite(part.scale) && part.rank >= 0);
  if (part.magnitude.tensor != nullptr) {
    const auto count = static_cast<int64_t>(part.magnitude.tensor->byte_count / ByteSize(part.magnitude.tensor->dtype));
    Demand(count == (part.magnitude.is_by_row ? shape.rows : shape.columns));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::vector<uint8_t> bytes = FileOf({reinterpret_cast<const char*>(data), size});
    const auto file = SafetensorsFile::Parse(bytes, "fuzz");
    const LoraFile lora = ReadLora(file, Modules());
    Demand(!lora.parts.empty());
    Demand(lora.used + lora.unused.size() + lora.text_encoder.size() == file->tensors().size());
    Demand(lora.trigger_words.size() <= 32 && lora.base_model.size() <= 200);
    for (size_t i = 0; i < lora.parts.size(); ++i) {
      Check(lora.parts[i]);
      const auto is_same = [&](const LoraPart& other) {
        return other.module == lora.parts[i].module && std::holds_alternative<BiasChange>(other.change) ==
                                                           std::holds_alternative<BiasChange>(lora.parts[i].change);
      };
      for (size_t j = 0; j < i; ++j) Demand(!is_same(lora.parts[j]));
    }
  } catch (const Error& error) {
    Demand(std::string_view(error.what()).find('\n') == std::string_view::npos);
  }
  return 0;
}
