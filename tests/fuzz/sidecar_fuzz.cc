// Foreign text as the .json beside saved embeddings: refused with a line, or loaded with the rows of the tensor.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "common/weights/safetensors_writer.h"
#include "coordinator/client/saved_embeddings.h"

namespace {

// Two rows of four values beside two more for guidance.
class Embeddings {
 public:
  Embeddings() {
    std::string name = std::filesystem::temp_directory_path() / "sidecar_fuzz.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
    diptych::WriteSafetensors(file(), {{{"embeddings", diptych::Dtype::F32, {2, 4}}, bytes_},
                                       {{"negative_embeddings", diptych::Dtype::F32, {2, 4}}, bytes_}});
  }
  ~Embeddings() { std::filesystem::remove_all(folder_); }

  std::string file() const { return folder_ / "e.safetensors"; }
  std::filesystem::path sidecar() const { return folder_ / "e.json"; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::filesystem::path folder_;
  const std::vector<uint8_t> bytes_ = std::vector<uint8_t>(2 * 4 * 4);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Embeddings embeddings;
  std::ofstream(embeddings.sidecar(), std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const diptych::SavedEmbeddings saved = diptych::LoadEmbeddings(embeddings.file());
    if (saved.conditioning.bytes != embeddings.bytes() || saved.conditioning.header.rows != 2) std::abort();
  } catch (const diptych::Error& error) {
    if (error.code() == diptych::ErrorCode::kInternal || error.code() == diptych::ErrorCode::kNotFound) std::abort();
  }
  return 0;
}
