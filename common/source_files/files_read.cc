#include "common/source_files/files_read.h"

#include "common/error/error.h"

namespace diptych {
namespace {

thread_local FilesReadHere* innermost = nullptr;

}  // namespace

FilesReadHere::FilesReadHere() : outer_(innermost) { innermost = this; }

FilesReadHere::~FilesReadHere() {
  innermost = outer_;
  if (outer_ != nullptr) outer_->files_.insert(outer_->files_.end(), files_.begin(), files_.end());
}

void FilesReadHere::ThrowIfChanged() const {
  for (const FileRead& file : files_) {
    const std::string difference = DifferenceText(file.facts, FactsOf(file.path));
    if (difference.empty()) continue;
    throw Error(ErrorCode::kUnavailable, file.path + ": was changed while the model was loaded (" + difference +
                                             "); start again when it is whole");
  }
}

void NoteFileRead(const std::string& path, const FileFacts& facts) {
  if (innermost != nullptr) innermost->files_.push_back({path, facts});
}

}  // namespace diptych
