#include "common/net/tls_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/foreign_text/foreign_text.h"
#include "common/net/certificate.h"
#include "common/net/openssl.h"

namespace diptych {
namespace {

constexpr off_t kMostFileBytes = 4 << 20;  // the system's bundle of CAs has 0.2 MB
constexpr long kSoonSeconds = 14L * 24 * 3600;

struct NamedFile {
  const char* flag;
  const std::string& path;
  std::string ToText() const { return absl::StrCat(flag, " ", ForeignText(path)); }
};

absl::StatusOr<std::string> ReadPem(const NamedFile& file) {
  struct stat facts {};
  if (stat(file.path.c_str(), &facts) != 0) {
    const absl::Status why = absl::ErrnoToStatus(errno, "");
    return absl::Status(why.code() == absl::StatusCode::kNotFound ? why.code() : absl::StatusCode::kFailedPrecondition,
                        absl::StrCat(file.ToText(), ": ", std::strerror(errno)));
  }
  if (!S_ISREG(facts.st_mode)) return absl::InvalidArgumentError(absl::StrCat(file.ToText(), " is not a file"));
  if (facts.st_size > kMostFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.ToText(), " has ", facts.st_size, " bytes, more than ", kMostFileBytes));
  }
  std::ifstream stream(file.path, std::ios::binary);
  if (!stream) {
    return absl::FailedPreconditionError(
        absl::StrCat(file.ToText(), " cannot be read by this user: ", std::strerror(errno)));
  }
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

Bio TextBio(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::vector<X509Certificate> CertificatesIn(const std::string& pem) {
  const Bio bio = TextBio(pem);
  std::vector<X509Certificate> certificates;
  while (X509* const certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();  // the last try found no more
  return certificates;
}

const char* WhatElse(const std::string& pem) {
  if (absl::StrContains(pem, "PRIVATE KEY-----")) return " (there is a private key)";
  if (absl::StrContains(pem, "CERTIFICATE REQUEST-----")) return " (there is a request for one)";
  if (absl::StrContains(pem, "-----BEGIN CERTIFICATE-----")) return " (there is a certificate)";
  return "";
}

int NoPassword(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

absl::StatusOr<PrivateKey> KeyIn(const std::string& pem, const NamedFile& file) {
  bool wants_password = false;
  PrivateKey key(PEM_read_bio_PrivateKey(TextBio(pem).get(), nullptr, NoPassword, &wants_password));
  ERR_clear_error();
  if (key != nullptr) return key;
  return absl::InvalidArgumentError(
      wants_password ? absl::StrCat(file.ToText(), " has a password, which nobody is there to type; `openssl pkey -in ",
                                    ForeignText(file.path), " -out FILE` writes the key without one")
                     : absl::StrCat(file.ToText(), " holds no private key in PEM form", WhatElse(pem)));
}

absl::Status ReadOwn(const Credentials& credentials, TlsFiles* files) {
  const NamedFile cert{"--tls-cert", credentials.cert}, key{"--tls-key", credentials.key};
  absl::StatusOr<std::string> text = ReadPem(cert);
  if (!text.ok()) return text.status();
  files->certificates = *std::move(text);
  text = ReadPem(key);
  if (!text.ok()) return text.status();
  files->key = *std::move(text);

  const std::vector<X509Certificate> chain = CertificatesIn(files->certificates);
  if (chain.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(cert.ToText(), " holds no certificate in PEM form", WhatElse(files->certificates)));
  }
  X509* const own = chain.front().get();
  const absl::StatusOr<PrivateKey> secret = KeyIn(files->key, key);
  if (!secret.ok()) return secret.status();
  if (X509_check_private_key(own, secret->get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        absl::StrCat(key.ToText(), " is not the key of ", cert.ToText(), ", the certificate ", SubjectOf(own)));
  }
  if (const std::optional<std::string> why = WhyNotValidNow(own)) {
    return absl::FailedPreconditionError(absl::StrCat(cert.ToText(), ": the certificate ", SubjectOf(own), " ", *why));
  }
  const SslContext probe(SSL_CTX_new(TLS_method()));
  if (SSL_CTX_use_certificate(probe.get(), own) != 1 || SSL_CTX_use_PrivateKey(probe.get(), secret->get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(cert.ToText(), ": the certificate ", SubjectOf(own), " cannot be used: ", TakeOpensslReason()));
  }
  files->name = NameOf(own);
  files->summary =
      absl::StrCat(SubjectOf(own), " of ", IssuerOf(own), ", valid until ", TimeText(X509_get0_notAfter(own)));
  time_t soon = std::time(nullptr) + kSoonSeconds;
  if (X509_cmp_time(X509_get0_notAfter(own), &soon) < 0) {
    files->warnings.push_back(absl::StrCat(cert.ToText(), ": the certificate ", SubjectOf(own), " expires on ",
                                           TimeText(X509_get0_notAfter(own))));
  }
  struct stat facts {};
  if (stat(credentials.key.c_str(), &facts) == 0 && (facts.st_mode & S_IROTH) != 0) {
    files->warnings.push_back(
        absl::StrCat(key.ToText(), " may be read by every user of this machine; chmod o= ", ForeignText(key.path)));
  }
  return absl::OkStatus();
}

absl::Status ReadAuthorities(const Credentials& credentials, TlsFiles* files) {
  const NamedFile ca{"--tls-ca", credentials.ca};
  absl::StatusOr<std::string> text = ReadPem(ca);
  if (!text.ok()) return text.status();
  files->authorities = *std::move(text);
  const std::vector<X509Certificate> all = CertificatesIn(files->authorities);
  if (all.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(ca.ToText(), " holds no certificate in PEM form", WhatElse(files->authorities)));
  }
  std::string past;
  size_t past_count = 0;
  for (const X509Certificate& one : all) {
    const std::optional<std::string> why = WhyNotValidNow(one.get());
    if (!why) continue;
    ++past_count;
    past = absl::StrCat(ca.ToText(), ": the CA ", SubjectOf(one.get()), " ", *why);
  }
  if (past_count == all.size()) return absl::FailedPreconditionError(past);
  if (past_count > 0) files->warnings.push_back(past);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsFiles> ReadTlsFiles(const Credentials& credentials, TlsEnd end) {
  const bool is_server = end == TlsEnd::kServer;
  if (credentials.cert.empty() != credentials.key.empty()) {
    return absl::InvalidArgumentError(credentials.key.empty()
                                          ? "--tls-cert needs --tls-key FILE beside it, the certificate's private key"
                                          : "--tls-key needs --tls-cert FILE beside it, the key's certificate");
  }
  if (is_server && credentials.cert.empty()) {
    return absl::InvalidArgumentError(
        "--tls-ca alone is for clients: a daemon with TLS needs a certificate of its own, --tls-cert and --tls-key");
  }
  const bool system = credentials.ca == kSystemAuthorities;
  if (is_server && system) {
    return absl::InvalidArgumentError(
        "--tls-ca system at a daemon would let in everybody who has a certificate of any public CA; name the file of "
        "your own CA, or leave --tls-ca out to let clients in without certificates");
  }
  TlsFiles files;
  if (!credentials.cert.empty()) {
    if (absl::Status s = ReadOwn(credentials, &files); !s.ok()) return s;
  }
  if (!credentials.ca.empty() && !system) {
    if (absl::Status s = ReadAuthorities(credentials, &files); !s.ok()) return s;
  }
  return files;
}

}  // namespace diptych
