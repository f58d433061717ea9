#include "common/weights/fingerprint.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/source_files/python_json.h"
#include "common/weights/mapped_file.h"

namespace diptych {
namespace {

// Who saved the model and in what it is meant to be computed; the tensors say what it is.
constexpr const char* kVolatileKeys[] = {"_name_or_path", "transformers_version", "_diffusers_version", "torch_dtype",
                                         "dtype"};

std::string CanonicalConfig(const std::string& text) {
  nlohmann::json config = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) {
    config = nlohmann::json::parse(NumbersOfPythonAsNull(text), nullptr, /*allow_exceptions=*/false);
  }
  if (!config.is_object()) throw Error(ErrorCode::kDataLoss, "config.json is not a JSON object");
  for (const char* key : kVolatileKeys) config.erase(key);
  return config.dump();  // keys sorted, no spaces
}

std::vector<std::string> HashTensors(const std::vector<const TensorEntry*>& tensors, int threads) {
  std::vector<std::string> hashes(tensors.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < tensors.size(); i = next++)
      hashes[i] = Sha256Hex(tensors[i]->data, tensors[i]->byte_count);
  };
  const int wanted = threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
  std::vector<std::future<void>> workers;
  for (int i = 1; i < wanted && i < static_cast<int>(tensors.size()); ++i) {
    workers.push_back(std::async(std::launch::async, work));
  }
  work();
  for (std::future<void>& worker : workers) worker.get();
  return hashes;
}

}  // namespace

std::string CheckpointFingerprint(const Checkpoint& checkpoint, const std::string& config_json_text, int threads,
                                  std::vector<std::string>* tensor_hashes) {
  const std::string config = CanonicalConfig(config_json_text);  // first: a bad one fails before gigabytes are read
  std::vector<const TensorEntry*> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors()) tensors.push_back(tensor.entry);
  std::vector<std::string> hashes = HashTensors(tensors, threads);
  Sha256 digest;
  for (size_t i = 0; i < tensors.size(); ++i) {
    digest.UpdateField(tensors[i]->name);
    digest.UpdateField(tensors[i]->dtype_name());
    digest.UpdateField(ShapeText(tensors[i]->shape));
    digest.UpdateField(hashes[i]);
  }
  digest.UpdateField(config);
  if (tensor_hashes != nullptr) *tensor_hashes = std::move(hashes);
  return digest.HexDigest();
}

std::string FilesFingerprint(const std::vector<std::string>& paths) {
  Sha256 digest;
  for (const std::string& path : paths) {
    const MappedFile file(path);
    digest.UpdateField(Sha256Hex(file.bytes().data(), file.bytes().size()));
  }
  return digest.HexDigest();
}

}  // namespace diptych
