// Reading the goldens that make_goldens.py wrote, and comparing with them.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/nn/tap.h"
#include "common/weights/safetensors.h"
#include "common/weights/weight_view.h"

namespace diptych::parity {

// The toy checkpoints; every parity test runs over both.
inline constexpr const char* kToys[] = {"toy_a", "toy_b"};

std::string DataPath(const std::string& name);  // below tests/parity/data

// A golden file: tensors by name, and the "json" entry of its header.
class Golden {
 public:
  explicit Golden(const std::string& name);
  bool Has(const std::string& tensor) const;
  at::Tensor operator[](
      const std::string& tensor) const;  // fp32, or as stored for whole numbers; throws when it is missing
  std::string json() const;

 private:
  std::shared_ptr<const SafetensorsFile> file_;
};

WeightView Weights(const std::string& toy, const std::string& component, at::ScalarType dtype);
std::string ConfigText(const std::string& toy, const std::string& component);

// Greatest difference, as a part of the golden's greatest value.
double RelativeDifference(const at::Tensor& found, const at::Tensor& golden);
// Least cosine over the rows of two [rows, width] tensors.
double LeastCosine(const at::Tensor& found, const at::Tensor& golden);

// A tap that compares what passes with the golden tensor `prefix + name`, where there is one, and remembers what it
// saw.
class TapComparison {
 public:
  TapComparison(const Golden& golden, std::string prefix) : golden_(golden), prefix_(std::move(prefix)) {}
  Tap tap();
  size_t compared() const { return compared_; }
  double worst() const { return worst_; }
  const std::string& worst_name() const { return worst_name_; }

 private:
  const Golden& golden_;
  const std::string prefix_;
  size_t compared_ = 0;
  double worst_ = 0;
  std::string worst_name_;
};

}  // namespace diptych::parity
