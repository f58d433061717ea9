// Any pieces as an upload: an input is there when they are what was announced, and else nothing is left of them.
//
// Input: one byte of switches, the announced length (16 bits, little-endian), then pieces, each a length of 8 bits and
// that many bytes. Switches: 0, the hash is that of all pieces; 1, the announced length is theirs; 2, the call ends
// without Finish.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/jobs/input_store.h"

namespace diptych {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "upload_input_fuzz: %s\n", what);
  std::abort();
}

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "upload_input_fuzz.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void Try(std::string_view input) {
  static const Folder folder;
  if (input.size() < 3) return;
  const uint8_t switches = static_cast<uint8_t>(input[0]);
  int64_t announced = static_cast<uint8_t>(input[1]) | static_cast<uint8_t>(input[2]) << 8;
  std::vector<std::string_view> pieces;
  std::string all;
  for (input.remove_prefix(3); !input.empty();) {
    const std::string_view piece = input.substr(1, static_cast<uint8_t>(input[0]));
    input.remove_prefix(1 + piece.size());
    all += piece;
    pieces.push_back(piece);
  }
  const std::string true_hash = Sha256Hex(all);
  const std::string hash = switches & 1 ? true_hash : Sha256Hex(all + "another");
  if (switches & 2) announced = static_cast<int64_t>(all.size());

  InputStore store(folder.path(), {.input_bytes = 8192, .all_bytes = 1 << 20});
  bool finished = false;
  try {
    const std::unique_ptr<InputUpload> upload = store.Begin(hash, announced, "192.0.2.1");
    for (const std::string_view piece : pieces) upload->Add(piece);
    if (!(switches & 4)) {
      upload->Finish();
      finished = true;
    }
  } catch (const Error& error) {
    Require(error.code() == ErrorCode::kInvalidArgument || error.code() == ErrorCode::kDataLoss, error.what());
  }
  const bool whole = hash == true_hash && announced == static_cast<int64_t>(all.size()) && announced > 0 &&
                     announced <= 8192 && !(switches & 4);
  Require(finished == whole, "accepted what was not announced, or refused what was");
  if (whole) {
    Require(store.Load(hash) == all, "the input is another one");
    std::filesystem::remove(folder.path() / hash);
  }
  Require(std::filesystem::is_empty(folder.path()), "something is left of an upload that failed");
}

}  // namespace
}  // namespace diptych

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  diptych::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
