// The bytes of a checkpoint: a picture between two steps, and what it is a picture of.
//
// Little-endian, in this order; all of it but the last is under the checksum, which is looked at before the rest.
//   "DIPTYCKP", u32 version (1), job id (26 characters), i32 step, channels, height, width,
//   u32 size of determinants, u32 size of timings, determinants, timings,
//   f32 [channels, height, width], SHA-256 of all before (64 hexadecimal digits)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "render_node/jobs/durable_file.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

struct PictureCheckpoint {
  std::string determinants;  // all that determines the picture; opaque here, compared byte for byte
  LatentState latent;
  std::string timings_json;  // of the job until now; opaque here
};

// What a file may hold at most: two texts of 1 MiB, and 2^27 values (512 MiB; a picture of 16384 x 16384 pixels has
// half of that). Nothing beyond is read into memory.
inline constexpr size_t kMaxCheckpointText = size_t{1} << 20;
inline constexpr size_t kMaxCheckpointValues = size_t{1} << 27;
inline constexpr size_t kMaxCheckpointBytes = 4 * kMaxCheckpointValues + 2 * kMaxCheckpointText + 1024;

// Throws Error(kInvalidArgument) for a checkpoint beyond these limits or whose latent has not the values of its shape.
std::vector<uint8_t> FormatCheckpoint(std::string_view job_id, const PictureCheckpoint& checkpoint);

// Throws Error(kDataLoss), saying why, for anything but a whole checkpoint of this job and this version.
PictureCheckpoint ParseCheckpoint(std::string_view job_id, ByteSpan bytes);

}  // namespace diptych
