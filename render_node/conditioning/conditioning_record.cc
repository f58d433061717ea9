#include "render_node/conditioning/conditioning_record.h"

#include <new>
#include <string_view>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/conditioning/conditioning_header_json.h"

namespace diptych {
namespace {

constexpr std::string_view kFirstLine = "diptych conditioning record 1\n";
constexpr size_t kChecksumSize = 64;

std::string Checksum(const std::string& key, std::string_view header, const void* rows, size_t size) {
  Sha256 digest;
  digest.UpdateField(key);
  digest.UpdateField(header);
  digest.Update(rows, size);
  return digest.HexDigest();
}

// Removes what `text` begins with up to the line feed, and that, and returns it without.
std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  if (end == std::string_view::npos) throw Error(ErrorCode::kDataLoss, "it ends within its header");
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string ConditioningRecordHead(const std::string& key, const Conditioning& conditioning) {
  const std::string header = ConditioningHeaderToJson(conditioning.header);
  return std::string(kFirstLine) + Checksum(key, header, conditioning.bytes.data(), conditioning.bytes.size()) + "\n" +
         header + "\n";
}

Conditioning ParseConditioningRecord(const std::string& key, const std::vector<uint8_t>& file) {
  std::string_view rest(reinterpret_cast<const char*>(file.data()), file.size());
  if (!rest.starts_with(kFirstLine)) throw Error(ErrorCode::kDataLoss, "it is no conditioning record of this version");
  rest.remove_prefix(kFirstLine.size());
  const std::string_view checksum = TakeLine(&rest);
  const std::string_view header = TakeLine(&rest);
  if (checksum.size() != kChecksumSize || checksum != Checksum(key, header, rest.data(), rest.size())) {
    throw Error(ErrorCode::kDataLoss, "its bytes are not those of its checksum");
  }
  try {
    Conditioning conditioning;
    conditioning.header = ConditioningHeaderFromJson(header);
    conditioning.bytes.assign(rest.begin(), rest.end());
    CheckConditioning(conditioning);
    return conditioning;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kDataLoss, error.what());
  }
}

}  // namespace diptych
