#include "common/weights/fingerprint.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "common/digest/sha256.h"

namespace diptych {
namespace {

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

std::string CheckpointFingerprint(const Checkpoint& checkpoint, const std::string& facts, int threads,
                                  std::vector<std::string>* tensor_hashes) {
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
  digest.UpdateField(facts);
  if (tensor_hashes != nullptr) *tensor_hashes = std::move(hashes);
  return digest.HexDigest();
}

}  // namespace diptych
