// Any bytes as a checkpoint, as they are and with the checksum that belongs to them: refused, or written back to the
// same bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/jobs/checkpoint_format.h"

namespace {

constexpr char kJobId[] = "01ARYZ6S410000000000000000";
constexpr size_t kDigestSize = 64;

bool Parse(const std::string& bytes) {
  diptych::PictureCheckpoint checkpoint;
  try {
    checkpoint = diptych::ParseCheckpoint(kJobId, {bytes.data(), bytes.size()});
  } catch (const diptych::Error& error) {
    if (error.code() != diptych::ErrorCode::kDataLoss) std::abort();
    return false;
  }
  const std::vector<uint8_t> again = diptych::FormatCheckpoint(kJobId, checkpoint);
  if (std::string(again.begin(), again.end()) != bytes) std::abort();
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  Parse(bytes);
  if (size >= kDigestSize) bytes.resize(size - kDigestSize);
  Parse(bytes + diptych::Sha256Hex(bytes));
  return 0;
}
