#include "common/weights/weights_file.h"

#include <algorithm>
#include <utility>

#include "common/source_files/file_kind.h"
#include "common/weights/gguf.h"
#include "common/weights/safetensors.h"

namespace diptych {

std::shared_ptr<const WeightsFile> OpenWeightsFile(const std::string& path) {
  auto mapping = std::make_shared<const MappedFile>(path);
  if (BeginsAsGguf(mapping->bytes())) return GgufFile::Open(std::move(mapping), path);
  return SafetensorsFile::Open(std::move(mapping), path);
}

void RefuseWeightsFile(const Error& error, const std::string& path, std::span<const uint8_t> bytes,
                       bool is_of_its_kind) {
  const std::string kind =
      is_of_its_kind ? "" : FileKind(bytes.first(std::min<size_t>(bytes.size(), 512)), bytes.size());
  if (!kind.empty()) throw Error(error.code(), path + ": this is " + kind);
  const std::string what = error.what();
  const bool is_cut = what.find("file is truncated") != what.npos;
  throw Error(error.code(), what + (is_cut ? "; its download or copy was cut short" : "") + UnfinishedDownloadOf(path));
}

}  // namespace diptych
