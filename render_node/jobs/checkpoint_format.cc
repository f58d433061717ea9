#include "render_node/jobs/checkpoint_format.h"

#include <bit>
#include <cstring>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/jobs/job_id.h"

namespace diptych {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian, and read as it lies");

constexpr std::string_view kMagic = "DIPTYCKP";
constexpr uint32_t kVersion = 1;
constexpr size_t kDigestSize = 64;
constexpr size_t kHeaderSize = kMagic.size() + sizeof(kVersion) + kJobIdLength + 6 * 4;

[[noreturn]] void Refuse(const std::string& why) { throw Error(ErrorCode::kDataLoss, why); }

// 0 for a shape that is none or too large.
size_t ValuesOf(const LatentState& latent) {
  size_t values = 1;
  for (const int32_t side : {latent.channels, latent.height, latent.width}) {
    if (side <= 0) return 0;
    values *= static_cast<size_t>(side);  // below 2^27 * 2^31
    if (values > kMaxCheckpointValues) return 0;
  }
  return values;
}

void Append(std::vector<uint8_t>& bytes, const void* data, size_t size) {
  const auto* begin = static_cast<const uint8_t*>(data);
  bytes.insert(bytes.end(), begin, begin + size);
}
void Append(std::vector<uint8_t>& bytes, std::string_view text) { Append(bytes, text.data(), text.size()); }

// Takes pieces from the front.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  std::string_view Take(size_t size) {
    if (size > left_.size()) Refuse("the file ends early");
    const std::string_view piece = left_.substr(0, size);
    left_.remove_prefix(size);
    return piece;
  }

  template <typename Number>
  Number TakeNumber() {
    Number number;
    std::memcpy(&number, Take(sizeof number).data(), sizeof number);
    return number;
  }

  size_t left() const { return left_.size(); }

 private:
  std::string_view left_;
};

// The bytes under the checksum, behind magic and version.
std::string_view CheckedBody(std::string_view file) {
  Reader reader(file);
  if (file.size() < kMagic.size() || reader.Take(kMagic.size()) != kMagic) Refuse("the file is no checkpoint");
  const auto version = reader.TakeNumber<uint32_t>();
  if (version != kVersion) {
    Refuse("the file is of format version " + std::to_string(version) + ", this program reads " +
           std::to_string(kVersion));
  }
  if (file.size() < kHeaderSize + kDigestSize) Refuse("the file ends early");
  const std::string_view checked = file.substr(0, file.size() - kDigestSize);
  if (Sha256Hex(checked) != file.substr(checked.size())) Refuse("the checksum does not match: the file is damaged");
  return checked.substr(kMagic.size() + sizeof kVersion);
}

}  // namespace

std::vector<uint8_t> FormatCheckpoint(std::string_view job_id, const PictureCheckpoint& checkpoint) {
  const LatentState& latent = checkpoint.latent;
  const size_t values = ValuesOf(latent);
  if (job_id.size() != kJobIdLength || values == 0 || values != latent.values.size() ||
      checkpoint.determinants.size() > kMaxCheckpointText || checkpoint.timings_json.size() > kMaxCheckpointText) {
    throw Error(ErrorCode::kInvalidArgument, "no checkpoint can be made of " + std::to_string(latent.values.size()) +
                                                 " values as a latent of " + std::to_string(latent.channels) + " x " +
                                                 std::to_string(latent.height) + " x " + std::to_string(latent.width) +
                                                 " with texts of " + std::to_string(checkpoint.determinants.size()) +
                                                 " and " + std::to_string(checkpoint.timings_json.size()) + " bytes");
  }
  const uint32_t sizes[] = {static_cast<uint32_t>(checkpoint.determinants.size()),
                            static_cast<uint32_t>(checkpoint.timings_json.size())};
  const int32_t place[] = {latent.step, latent.channels, latent.height, latent.width};
  std::vector<uint8_t> bytes;
  bytes.reserve(kHeaderSize + sizes[0] + sizes[1] + 4 * values + kDigestSize);
  Append(bytes, kMagic);
  Append(bytes, &kVersion, sizeof kVersion);
  Append(bytes, job_id);
  Append(bytes, place, sizeof place);
  Append(bytes, sizes, sizeof sizes);
  Append(bytes, checkpoint.determinants);
  Append(bytes, checkpoint.timings_json);
  Append(bytes, latent.values.data(), 4 * values);
  Append(bytes, Sha256Hex(bytes.data(), bytes.size()));
  return bytes;
}

PictureCheckpoint ParseCheckpoint(std::string_view job_id, ByteSpan bytes) {
  Reader reader(CheckedBody({static_cast<const char*>(bytes.data), bytes.size}));
  if (reader.Take(kJobIdLength) != job_id) Refuse("the file is another job's");
  PictureCheckpoint checkpoint;
  LatentState& latent = checkpoint.latent;
  latent.step = reader.TakeNumber<int32_t>();
  latent.channels = reader.TakeNumber<int32_t>();
  latent.height = reader.TakeNumber<int32_t>();
  latent.width = reader.TakeNumber<int32_t>();
  const auto determinants = reader.TakeNumber<uint32_t>(), timings = reader.TakeNumber<uint32_t>();
  if (latent.step < 0 || determinants > kMaxCheckpointText || timings > kMaxCheckpointText) {
    Refuse("the file has a number beyond its limit");
  }
  checkpoint.determinants = reader.Take(determinants);
  checkpoint.timings_json = reader.Take(timings);
  const size_t values = ValuesOf(latent);
  if (values == 0 || reader.left() != 4 * values) Refuse("the file has not the values of its latent's shape");
  latent.values.resize(values);
  std::memcpy(latent.values.data(), reader.Take(4 * values).data(), 4 * values);
  return checkpoint;
}

}  // namespace diptych
