// A finished picture on its way to a watcher.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "diptych/v1/render.pb.h"
#include "render_node/jobs/picture_file.h"

namespace diptych {

// Less than the wire allows: many watchers may be slow at the same time, and each holds a piece.
inline constexpr int64_t kPictureChunkBytes = int64_t{256} << 10;

// DATA_LOSS unless the bytes begin and end as a PNG does: a file that was cut short is not sent. Throws Error.
absl::Status CheckWholePng(const PictureFile& png);

// The piece that begins there, with the size and the SHA-256 of the whole. Throws Error as PictureFile::Read does.
v1::PictureChunk PictureChunkAt(const PictureFile& png, int64_t offset);

}  // namespace diptych
