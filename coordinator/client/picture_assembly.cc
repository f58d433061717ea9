#include "coordinator/client/picture_assembly.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest/sha256.h"

namespace diptych {

absl::Status PictureAssembly::Add(int64_t offset, std::string_view bytes, int64_t byte_count, std::string_view sha256) {
  if (byte_count <= 0 || byte_count > kMaxPictureBytes) {
    return absl::DataLossError(
        absl::StrCat("the picture claims ", byte_count, " bytes; 1 to ", kMaxPictureBytes, " are legal"));
  }
  if (bytes_.empty()) {
    byte_count_ = byte_count;
    sha256_ = sha256;
  }
  if (byte_count != byte_count_ || sha256 != sha256_) {
    return absl::DataLossError("two pieces of the picture disagree on its size or checksum");
  }
  if (bytes.empty() || bytes.size() > kMaxPicturePiece) {
    return absl::DataLossError(
        absl::StrCat("a piece of the picture has ", bytes.size(), " bytes; 1 to ", kMaxPicturePiece, " are legal"));
  }
  if (offset != static_cast<int64_t>(bytes_.size())) {
    return absl::DataLossError(
        absl::StrCat("a piece of the picture begins at byte ", offset, ", expected ", bytes_.size()));
  }
  if (bytes_.size() + bytes.size() > static_cast<size_t>(byte_count_)) {
    return absl::DataLossError(absl::StrCat("the picture is longer than the ", byte_count_, " bytes stated"));
  }
  bytes_.append(bytes);
  return absl::OkStatus();
}

absl::StatusOr<std::string> PictureAssembly::Finish() {
  if (bytes_.empty() || static_cast<int64_t>(bytes_.size()) != byte_count_) {
    return absl::DataLossError(absl::StrCat("the picture ended after ", bytes_.size(), " of ", byte_count_, " bytes"));
  }
  if (Sha256Hex(bytes_) != sha256_) return absl::DataLossError("the picture's checksum is not the one stated");
  return std::move(bytes_);
}

}  // namespace diptych
