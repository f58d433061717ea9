#include "common/weights/weight_view.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/error/error.h"
#include "common/weights/dequantize.h"

namespace diptych {
namespace {

// The floating-point formats that libtorch computes in; the others need a scale or a kernel of their own.
at::ScalarType StoredType(const TensorEntry& entry, const std::string& path) {
  switch (entry.dtype) {
    case Dtype::F64:
      return at::kDouble;
    case Dtype::F32:
      return at::kFloat;
    case Dtype::F16:
      return at::kHalf;
    case Dtype::BF16:
      return at::kBFloat16;
    default:  // fp8 and blocks are dequantised
      throw Error(ErrorCode::kInvalidArgument, entry.name + ": stored as " + std::string(entry.dtype_name()) + " in " +
                                                   path + ", expected F32, BF16, F16 or F64" +
                                                   (IsInBlocks(entry.dtype) ? ": only matrices are quantised" : ""));
  }
}

// The stored bytes as a tensor: in place when the elements are aligned, else a copy. `owner` keeps the mapping.
at::Tensor Wrap(const TensorEntry& entry, at::ScalarType type, std::shared_ptr<const Checkpoint> owner) {
  const auto options = at::TensorOptions().dtype(type);
  const at::IntArrayRef shape(entry.shape);
  if (entry.byte_count > 0 && reinterpret_cast<uintptr_t>(entry.data) % ByteSize(entry.dtype) == 0) {
    const std::function<void(void*)> release = [owner = std::move(owner)](void*) {};
    return at::from_blob(const_cast<uint8_t*>(entry.data), shape, release, options);
  }
  at::Tensor copy = at::empty(shape, options);
  if (entry.byte_count > 0) std::memcpy(copy.data_ptr(), entry.data, entry.byte_count);
  return copy;
}

}  // namespace

WeightView::WeightView(std::shared_ptr<const Checkpoint> checkpoint, at::Device device, at::ScalarType dtype)
    : checkpoint_(std::move(checkpoint)),
      device_(device),
      dtype_(dtype),
      used_(std::make_shared<std::set<std::string>>()) {}

WeightView WeightView::operator/(std::string_view name) const {
  WeightView view = *this;
  if (!view.name_.empty() && !name.empty()) view.name_ += '.';
  view.name_ += name;
  return view;
}

WeightView WeightView::operator/(int64_t index) const { return *this / std::to_string(index); }

WeightView WeightView::Prefixed(std::initializer_list<std::string_view> prefixes, std::string_view probe) const {
  for (const std::string_view prefix : prefixes) {
    const WeightView view = *this / prefix;
    if ((view / probe).Exists()) return view;
  }
  return prefixes.size() == 0 ? *this : *this / *prefixes.begin();
}

const Checkpoint::Tensor& WeightView::Read(at::IntArrayRef expected_shape) const {
  const auto found = checkpoint_->tensors().find(name_);
  if (found == checkpoint_->tensors().end()) {
    throw Error(ErrorCode::kInvalidArgument, "tensor " + name_ + " is missing from " + checkpoint_->path() +
                                                 checkpoint_->Absent(name_) + "; expected shape " +
                                                 ShapeText({expected_shape.data(), expected_shape.size()}));
  }
  const TensorEntry& entry = *found->second.entry;
  const std::string& path = found->second.file->path();
  if (expected_shape != at::IntArrayRef(entry.shape)) {
    throw Error(ErrorCode::kInvalidArgument, name_ + ": expected shape " +
                                                 ShapeText({expected_shape.data(), expected_shape.size()}) +
                                                 ", found " + ShapeText(entry.shape) + " in " + path);
  }
  used_->insert(name_);
  return found->second;
}

std::vector<float> WeightView::Scales(const TensorEntry& entry) const {
  if (!IsFp8(entry.dtype)) return {};
  const std::string name = name_ + "_scale";
  const auto found = checkpoint_->tensors().find(name);
  if (found == checkpoint_->tensors().end()) {
    const bool others_have = std::any_of(checkpoint_->tensors().begin(), checkpoint_->tensors().end(),
                                         [](const auto& one) { return one.first.ends_with(".weight_scale"); });
    if (!others_have || entry.shape.size() < 2) return {};
    throw Error(ErrorCode::kInvalidArgument, "tensor " + name + " is missing from " + checkpoint_->path() +
                                                 checkpoint_->Absent(name) + ": " + name_ + " is stored as " +
                                                 std::string(entry.dtype_name()) + ", and others have their scales");
  }
  const TensorEntry& scale = *found->second.entry;
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidArgument, name + ": " + what + " in " + found->second.file->path());
  };
  const std::vector<int64_t>& shape = scale.shape;
  const int64_t rows = entry.shape.empty() ? 1 : entry.shape[0];
  const bool is_one = std::all_of(shape.begin(), shape.end(), [](int64_t d) { return d == 1; });
  const bool of_rows = !shape.empty() && shape.size() <= 2 && shape[0] == rows && (shape.size() == 1 || shape[1] == 1);
  if (!is_one && !of_rows) {
    refuse("expected one scale or one of each row, [" + std::to_string(rows) + "] or [" + std::to_string(rows) +
           ", 1], found shape " + ShapeText(shape));
  }
  if (scale.dtype != Dtype::F32 && scale.dtype != Dtype::BF16 && scale.dtype != Dtype::F16) {
    refuse("expected F32, BF16 or F16, found " + std::string(scale.dtype_name()));
  }
  std::vector<float> scales(is_one ? 1 : static_cast<size_t>(rows));
  Dequantize(scale.dtype, scale.data, static_cast<int64_t>(scales.size()), scales.data());
  for (const float one : scales) {
    if (!std::isfinite(one)) refuse("a scale is no finite number");
  }
  used_->insert(name);
  return scales;
}

std::optional<QuantisedTensor> WeightView::Quantised(at::IntArrayRef expected_shape) const {
  const TensorEntry& entry = *Read(expected_shape).entry;
  const DtypeFacts& facts = FactsOf(entry.dtype);
  if (!IsQuantised(entry.dtype) || entry.shape.size() != 2) return std::nullopt;
  if (entry.shape[1] % facts.block_elements != 0) return std::nullopt;
  checkpoint_->MarkUsedInPlace();
  return QuantisedTensor{.dtype = entry.dtype,
                         .scales = Scales(entry),
                         .rows = entry.shape[0],
                         .columns = entry.shape[1],
                         .data = entry.data,
                         .row_bytes = entry.shape[1] / facts.block_elements * facts.block_bytes,
                         .owner = checkpoint_};
}

at::Tensor WeightView::Tensor(at::IntArrayRef expected_shape) const {
  const Checkpoint::Tensor& found = Read(expected_shape);
  const TensorEntry& entry = *found.entry;
  if (IsFp8(entry.dtype) || (IsInBlocks(entry.dtype) && entry.shape.size() > 1)) {
    at::Tensor wide = at::empty(expected_shape, at::TensorOptions().dtype(at::kFloat));
    Dequantize(entry.dtype, entry.data, wide.numel(), wide.data_ptr<float>());
    const std::vector<float> scales = Scales(entry);
    if (scales.size() == 1) wide.mul_(scales[0]);
    if (scales.size() > 1) {
      for (int64_t i = 0; i < wide.size(0); ++i) wide[i].mul_(scales[static_cast<size_t>(i)]);
    }
    return wide.to(device_, dtype_);
  }
  at::Tensor tensor = Wrap(entry, StoredType(entry, found.file->path()), checkpoint_).to(device_, dtype_);
  if (tensor.numel() > 0 && device_.is_cpu() && tensor.data_ptr() == entry.data) checkpoint_->MarkUsedInPlace();
  return tensor;
}

bool WeightView::Exists() const { return checkpoint_->Find(name_) != nullptr; }

std::vector<std::string> WeightView::UnusedNames() const {
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : checkpoint_->tensors()) {
    if (!used_->contains(name)) unused.push_back(name);
  }
  return unused;
}

std::string WeightView::UnusedWarning(std::initializer_list<std::string_view> expected) const {
  constexpr size_t kNamed = 5;
  std::vector<std::string> names = UnusedNames();
  std::erase_if(names, [&](const std::string& name) {
    return std::any_of(expected.begin(), expected.end(), [&](std::string_view part) { return name.starts_with(part); });
  });
  if (names.empty()) return "";
  std::string line = checkpoint_->path() + " has " + std::to_string(names.size()) +
                     (names.size() == 1 ? " tensor" : " tensors") + " that this model does not use: ";
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i) line += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kNamed ? line + ", ..." : line;
}

}  // namespace diptych
