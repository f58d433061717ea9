// Puts the pieces of a picture together and believes none of them until all fit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace diptych {

inline constexpr int64_t kMaxPictureBytes = int64_t{1} << 30;
inline constexpr size_t kMaxPicturePiece = size_t{1} << 20;

// Memory grows with the bytes received, never ahead of them on the word of the sender. Not thread-safe.
class PictureAssembly {
 public:
  // `byte_count` and `sha256` are of the whole picture and the same in every piece.
  //   DATA_LOSS   a piece is empty, too long, out of order, beyond the count, or contradicts the first
  absl::Status Add(int64_t offset, std::string_view bytes, int64_t byte_count, std::string_view sha256);

  // The picture, once. DATA_LOSS when bytes are missing or their checksum is another.
  absl::StatusOr<std::string> Finish();

  bool empty() const { return bytes_.empty(); }

 private:
  std::string bytes_;
  int64_t byte_count_ = 0;
  std::string sha256_;
};

}  // namespace diptych
