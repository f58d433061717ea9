#include "render_node/jobs/picture_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/digest/sha256.h"
#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int64_t kPieceBytes = 64 << 10;

}  // namespace

PictureFile::PictureFile(const std::filesystem::path& path, const std::string& sha256)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {
  if (fd_.get() < 0) throw SystemCallError("cannot open " + path_.string());
  size_ = ::lseek(fd_.get(), 0, SEEK_END);
  if (size_ < 0) throw SystemCallError("cannot read " + path_.string());
  Sha256 digest;
  for (int64_t at = 0; at < size_; at += kPieceBytes) digest.Update(Read(at, std::min(kPieceBytes, size_ - at)));
  sha256_ = digest.HexDigest();
  if (!sha256.empty() && sha256 != sha256_) {
    throw Error(ErrorCode::kDataLoss, "picture " + path_.string() + " is damaged: its bytes are not those of its name");
  }
}

std::string PictureFile::Read(int64_t offset, int64_t size) const {
  std::string bytes(static_cast<size_t>(size), '\0');
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t got =
        ::pread(fd_.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(offset) + static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemCallError("cannot read " + path_.string());
    if (got == 0) throw Error(ErrorCode::kDataLoss, path_.string() + " became shorter while it was read");
    at += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace diptych
