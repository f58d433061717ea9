// A finished picture on its way to a watcher.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "diptych/v1/render.pb.h"

namespace diptych {

inline constexpr int64_t kMaxPictureChunkBytes = int64_t{1} << 20;

// DATA_LOSS unless the bytes begin and end as a PNG does: a file that was cut short is not sent.
absl::Status CheckWholePng(const std::vector<uint8_t>& png);

// Hands the pieces to `write`, in order, each with the size and the SHA-256 of the whole; `write` returns false when
// the other side has gone: CANCELLED then.
absl::Status SendPicture(const std::vector<uint8_t>& png, const std::function<bool(const v1::PictureChunk&)>& write);

}  // namespace diptych
