// The files of a loaded model, watched: nobody shall compute with other weights than the fingerprint says.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/source_files/file_facts.h"
#include "common/source_files/files_read.h"
#include "common/source_files/model_news.h"
#include "common/weights/checkpoint.h"

namespace diptych {

// A mapped file whose weights are used where they lie is looked at before and after each use (ThrowIfChanged: fstat, no
// more). Once something about it has changed it is not used until somebody who looks now and then (Look) has read it
// and compared it with the hashes of the weights that were loaded: the same weights (it was touched, linked, copied
// anew, or replaced by rename) are used again. Of every other file what was read stays in memory; that it is another
// one now is news for the log, no more. Thread-safe; Look is called by one thread.
class ModelFiles {
 public:
  // Everything but the moment: for tests.
  struct Pace {
    bool (*just_changed)(const FileFacts&) = &ChangedJustNow;
    std::chrono::milliseconds settled{1000};  // other weights that lie unchanged for so long are there to stay
  };
  ModelFiles() = default;
  explicit ModelFiles(Pace pace) : pace_(pace) {}

  // `tensor_hashes`: of CheckpointFingerprint.
  void AddWeights(std::shared_ptr<const Checkpoint> checkpoint, std::vector<std::string> tensor_hashes);
  void AddRead(const std::vector<FileRead>& files);  // those of a checkpoint that was added are left out

  // Throws Error(kUnavailable) naming the file whose weights are not those that were loaded, or are being written.
  void ThrowIfChanged();

  // Looks at all of them, and reads those anew about which something has changed.
  ModelNews Look();

 private:
  struct Tensor {
    const TensorEntry* entry;
    uint64_t offset;  // in the file
    std::string sha256;
  };
  struct Weights {
    std::shared_ptr<const Checkpoint> checkpoint;
    const MappedFile* mapping;
    FileFacts facts;  // with which they are known to be the ones that were loaded
    std::vector<Tensor> tensors;
    std::optional<FileFacts> judged;  // with which they are known to be others
    std::string verdict;
    std::chrono::steady_clock::time_point since;  // `judged` is what it is
    std::string told;                             // the last news
  };
  struct Other {
    FileRead file;
    std::string told;
  };

  std::string Problem(const Weights& weights) const;
  void Judge(Weights& weights);
  void TellOfPath(const std::string& path, const FileFacts& loaded, std::string& told);

  const Pace pace_ = {};
  std::mutex mutex_;  // guards all below
  std::vector<Weights> weights_;
  std::vector<Other> others_;
  std::vector<std::string> lines_;
  std::string refused_;  // as Look last said it
};

}  // namespace diptych
