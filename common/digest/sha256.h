// SHA-256, for checksums, fingerprints and content addresses. Wraps a library; see sha256.cc.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace diptych {

// Incremental digest. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(const void* bytes, size_t size);
  void Update(std::string_view text) { Update(text.data(), text.size()); }
  // Length-prefixed: two different sequences of fields never hash alike.
  void UpdateField(std::string_view field);

  // 64 lower-case hexadecimal digits. Ends the digest: call once.
  std::string HexDigest();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Whether this is what HexDigest gives.
bool IsSha256Hex(std::string_view text);

// The digest of one span of bytes, as 64 hexadecimal digits.
std::string Sha256Hex(const void* bytes, size_t size);
inline std::string Sha256Hex(std::string_view text) { return Sha256Hex(text.data(), text.size()); }

}  // namespace diptych
