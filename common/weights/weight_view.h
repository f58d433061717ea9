// Reading weights by scoped name: (w / "layers" / 3 / "norm" / "weight").Tensor({dim}). The expected shape stands where
// the name is read, so a wrong checkpoint is refused with the tensor's name and both shapes.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/weights/checkpoint.h"

namespace diptych {

// A matrix of a quantised format, where it lies in the mapped file.
struct QuantisedTensor {
  Dtype dtype;                // in blocks, or fp8
  std::vector<float> scales;  // of fp8: of each row, or of all; empty: 1
  int64_t rows, columns;
  const uint8_t* data;  // `rows` times `row_bytes`; aligned to nothing in particular
  int64_t row_bytes;    // a whole number of blocks
  std::shared_ptr<const Checkpoint> owner;
};

// A cheap copy-on-descend view of a checkpoint: names are joined with '.'. All views made from one another share the
// record of names read; use them from one thread at a time.
class WeightView {
 public:
  WeightView(std::shared_ptr<const Checkpoint> checkpoint, at::Device device, at::ScalarType dtype);

  WeightView operator/(std::string_view name) const;
  WeightView operator/(int64_t index) const;

  // The view below the first of `prefixes` ("" for none) under which `probe` exists; below the first prefix when there
  // is none.
  //   w.Prefixed({"model", ""}, "norm.weight") accepts model.norm.weight and norm.weight.
  WeightView Prefixed(std::initializer_list<std::string_view> prefixes, std::string_view probe) const;

  // The tensor of this name on the view's device in the view's dtype. Where neither changes nothing is copied: the
  // tensor lies in the mapped file, keeps it alive, and must not be written to. A quantised matrix is dequantised; the
  // scales of fp8 are NAME_scale (layout.h). Throws Error(kInvalidArgument) when the tensor is missing, has another
  // shape or is not floating-point, for a vector in blocks (no writer makes one), and for scales that are missing where
  // others have them, of another shape or no numbers.
  at::Tensor Tensor(at::IntArrayRef expected_shape) const;

  // The matrix of this name as it is stored, when it is quantised and its rows are whole blocks; nullopt for one that
  // Tensor has to read. Throws as Tensor.
  std::optional<QuantisedTensor> Quantised(at::IntArrayRef expected_shape) const;

  bool Exists() const;  // is there a tensor of exactly this name
  const std::string& name() const { return name_; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }

  // Names in the checkpoint that no view of this family has read, sorted.
  std::vector<std::string> UnusedNames() const;

  // The same as one line for the log: how many, and the first. Names that begin with one of `expected` are left out:
  // parts that a whole checkpoint has and its reader does not use. Empty when nothing is left.
  std::string UnusedWarning(std::initializer_list<std::string_view> expected) const;

 private:
  std::vector<float> Scales(const TensorEntry& entry) const;
  const Checkpoint::Tensor& Read(at::IntArrayRef expected_shape) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  at::Device device_;
  at::ScalarType dtype_;
  std::shared_ptr<std::set<std::string>> used_;
  std::string name_;
};

}  // namespace diptych
