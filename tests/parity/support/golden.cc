#include "tests/parity/support/golden.h"

#include "common/model_config/json_facts.h"

namespace diptych::parity {
namespace {

at::ScalarType ToScalarType(Dtype dtype) {
  switch (dtype) {
    case Dtype::F32:
      return at::kFloat;
    case Dtype::BF16:
      return at::kBFloat16;
    case Dtype::I64:
      return at::kLong;
    case Dtype::U8:
      return at::kByte;
    default:
      throw std::runtime_error("a golden of an unexpected dtype");
  }
}

}  // namespace

std::string DataPath(const std::string& name) { return DIPTYCH_SOURCE_DIR "/tests/parity/data/" + name; }

Golden::Golden(const std::string& name) : file_(SafetensorsFile::Open(DataPath(name))) {}

bool Golden::Has(const std::string& tensor) const { return file_->Find(tensor) != nullptr; }

at::Tensor Golden::operator[](const std::string& tensor) const {
  const TensorEntry* entry = file_->Find(tensor);
  if (entry == nullptr) throw std::runtime_error("golden tensor " + tensor + " is missing");
  const at::ScalarType dtype = ToScalarType(entry->dtype);
  const at::Tensor value =
      at::from_blob(const_cast<uint8_t*>(entry->data), entry->shape, at::TensorOptions().dtype(dtype)).clone();
  return at::isFloatingType(dtype) ? value.to(at::kFloat) : value;
}

std::string Golden::json() const { return file_->metadata().at("json"); }

WeightView Weights(const std::string& toy, const std::string& component, at::ScalarType dtype) {
  return WeightView(Checkpoint::Open(DataPath(toy + "/" + component)), at::kCPU, dtype);
}

std::string ConfigText(const std::string& toy, const std::string& component) {
  return ReadTextFile(DataPath(toy + "/" + component + "/config.json"));
}

double RelativeDifference(const at::Tensor& found, const at::Tensor& golden) {
  if (found.sizes() != golden.sizes()) throw std::runtime_error("shapes differ from the golden's");
  return ((found.to(at::kFloat) - golden).abs().max() / golden.abs().max()).item<double>();
}

double LeastCosine(const at::Tensor& found, const at::Tensor& golden) {
  const at::Tensor a = found.to(at::kDouble), b = golden.to(at::kDouble);
  return ((a * b).sum(-1) / (a.norm(2, {-1}) * b.norm(2, {-1}))).min().item<double>();
}

Tap TapComparison::tap() {
  return [this](std::string_view name, const at::Tensor& value) {
    const std::string tensor = prefix_ + std::string(name);
    if (!golden_.Has(tensor)) return;
    ++compared_;
    const double difference = RelativeDifference(value, golden_[tensor]);
    if (difference >= worst_) {
      worst_ = difference;
      worst_name_ = tensor;
    }
  };
}

}  // namespace diptych::parity
