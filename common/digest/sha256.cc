#include "common/digest/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include "common/error/error.h"

namespace diptych {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (context_->evp == nullptr || EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) != 1) {
    throw Error(ErrorCode::kInternal, "SHA-256 is not available in this OpenSSL");
  }
}

Sha256::~Sha256() = default;

void Sha256::Update(const void* bytes, size_t size) {
  if (EVP_DigestUpdate(context_->evp, bytes, size) != 1) throw Error(ErrorCode::kInternal, "SHA-256 update failed");
}

void Sha256::UpdateField(std::string_view field) {
  Update(std::to_string(field.size()));
  Update(":");
  Update(field);
}

std::string Sha256::HexDigest() {
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(context_->evp, digest.data(), &size) != 1) {
    throw Error(ErrorCode::kInternal, "SHA-256 finish failed");
  }
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * size);
  for (unsigned int i = 0; i < size; ++i) {
    hex.push_back(kHex[digest[i] >> 4]);
    hex.push_back(kHex[digest[i] & 15]);
  }
  return hex;
}

std::string Sha256Hex(const void* bytes, size_t size) {
  Sha256 digest;
  digest.Update(bytes, size);
  return digest.HexDigest();
}

bool IsSha256Hex(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace diptych
