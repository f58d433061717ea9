// Certificates made at test time: nothing that could ever be trusted lies in the repository.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "common/net/credentials.h"

namespace diptych {

// How a certificate shall be; what is not said is as it should be.
struct CertificateWish {
  std::string name = "box";                                       // CN; empty: none
  std::string hosts = "DNS:localhost,IP:127.0.0.1,IP:::1";        // subjectAltName; empty: none
  std::string usage = "serverAuth,clientAuth";                    // extendedKeyUsage; empty: none
  int64_t valid_from_s = -3600, valid_until_s = 365 * 24 * 3600;  // from now
};

// A CA of its own, in a folder that is there: NAME.crt, NAME.key.
class TestAuthority {
 public:
  explicit TestAuthority(std::filesystem::path folder, const std::string& name = "ca",
                         const CertificateWish& wish = {.name = "Test CA", .hosts = "", .usage = ""})
      : folder_(std::move(folder)), key_(NewKey()), certificate_(NewCertificate(wish, key_.get())) {
    Extend(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
    X509_sign(certificate_.get(), key_.get(), EVP_sha256());
    Write(name, certificate_.get(), key_.get());
    ca_ = Path(name + ".crt");
  }

  const std::string& ca() const { return ca_; }
  std::string Path(const std::string& file) const { return (folder_ / file).string(); }

  // FILE.crt and FILE.key, of this CA; with the CA to judge others by.
  Credentials Issue(const std::string& file, const CertificateWish& wish = {}) const {
    const Key key = NewKey();
    const Certificate certificate = NewCertificate(wish, key.get());
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
    if (!wish.hosts.empty()) Extend(certificate.get(), NID_subject_alt_name, wish.hosts);
    if (!wish.usage.empty()) Extend(certificate.get(), NID_ext_key_usage, wish.usage);
    X509_sign(certificate.get(), key_.get(), EVP_sha256());
    Write(file, certificate.get(), key.get());
    return {.cert = Path(file + ".crt"), .key = Path(file + ".key"), .ca = ca_};
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  static Key NewKey() { return Key(EVP_EC_gen("P-256")); }

  static Certificate NewCertificate(const CertificateWish& wish, EVP_PKEY* key) {
    Certificate certificate(X509_new());
    X509_set_version(certificate.get(), 2);
    static int64_t serial = std::time(nullptr);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), wish.valid_from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), wish.valid_until_s);
    X509_set_pubkey(certificate.get(), key);
    X509_NAME* const subject = X509_get_subject_name(certificate.get());
    const auto add = [&](const char* field, const std::string& value) {
      X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                 static_cast<int>(value.size()), -1, 0);
    };
    add("O", "Diptych tests");
    if (!wish.name.empty()) add("CN", wish.name);
    return certificate;
  }

  static void Extend(X509* certificate, int extension, const std::string& value) {
    X509_EXTENSION* const made = X509V3_EXT_conf_nid(nullptr, nullptr, extension, value.c_str());
    if (made == nullptr) throw std::runtime_error("no extension: " + value);
    X509_add_ext(certificate, made, -1);
    X509_EXTENSION_free(made);
  }

  void Write(const std::string& name, X509* certificate, EVP_PKEY* key) const {
    const auto write = [&](const std::string& file, const auto& what) {
      // Beside it first, as whoever renews a certificate should.
      const std::string beside = Path(file + ".new");
      std::FILE* const open = std::fopen(beside.c_str(), "w");
      if (open == nullptr) throw std::runtime_error("cannot write " + beside);
      what(open);
      std::fclose(open);
      std::filesystem::permissions(beside, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
      std::filesystem::rename(beside, Path(file));
    };
    write(name + ".key",
          [&](std::FILE* file) { PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr); });
    write(name + ".crt", [&](std::FILE* file) { PEM_write_X509(file, certificate); });
  }

  const std::filesystem::path folder_;
  const Key key_;
  const Certificate certificate_;
  std::string ca_;
};

}  // namespace diptych
