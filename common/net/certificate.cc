#include "common/net/certificate.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "common/foreign_text/foreign_text.h"

namespace diptych {
namespace {

constexpr size_t kMostNameBytes = 64;  // as many as a client's name may have

using AlternativeNames = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;

AlternativeNames AlternativeNamesOf(const X509* certificate) {
  return AlternativeNames(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
}

std::string Utf8Of(const ASN1_STRING* text) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, text);
  if (size < 0) return "";
  std::string result(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return result;
}

std::string CommonNameOf(const X509_NAME* name) {
  int last = -1;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;) last = at;
  return last < 0 ? "" : Utf8Of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
}

bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string Shown(const X509_NAME* name) {
  if (const std::string common = CommonNameOf(name); !common.empty()) return QuotedForeignText(common);
  const Bio text(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(text.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  return size <= 0 ? "a certificate without a subject"
                   : QuotedForeignText(std::string_view(bytes, static_cast<size_t>(size)));
}

}  // namespace

std::string NameOf(const X509* certificate) {
  std::string name = CommonNameOf(X509_get_subject_name(certificate));
  if (name.empty()) {
    const AlternativeNames others = AlternativeNamesOf(certificate);
    for (int i = 0; others && i < sk_GENERAL_NAME_num(others.get()) && name.empty(); ++i) {
      const GENERAL_NAME* const other = sk_GENERAL_NAME_value(others.get(), i);
      if (other->type == GEN_DNS) name = Utf8Of(other->d.dNSName);
    }
  }
  return IsPlainName(name) ? name : "";
}

std::string SubjectOf(const X509* certificate) { return Shown(X509_get_subject_name(certificate)); }
std::string IssuerOf(const X509* certificate) { return Shown(X509_get_issuer_name(certificate)); }

std::string HostsOf(const X509* certificate) {
  std::string text;
  const AlternativeNames names = AlternativeNamesOf(certificate);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    std::string one;
    if (name->type == GEN_DNS) one = "DNS:" + Utf8Of(name->d.dNSName);
    if (name->type == GEN_IPADD) {
      const int size = ASN1_STRING_length(name->d.iPAddress);
      char digits[INET6_ADDRSTRLEN] = "";
      if (size == 4 || size == 16) {
        inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), digits, sizeof digits);
        one = std::string("IP:") + digits;
      }
    }
    if (!one.empty()) absl::StrAppend(&text, text.empty() ? "" : ", ", one);
  }
  return ForeignText(text);
}

std::string TimeText(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "a time that cannot be read";
  char text[64];
  return std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts) > 0 ? text : "";
}

std::optional<std::string> WhyNotValidNow(const X509* certificate) {
  const ASN1_TIME* const from = X509_get0_notBefore(certificate);
  const ASN1_TIME* const until = X509_get0_notAfter(certificate);
  if (X509_cmp_current_time(until) < 0) return "expired on " + TimeText(until);
  if (X509_cmp_current_time(from) > 0) {
    return absl::StrCat("is not valid before ", TimeText(from), " (is this machine's clock right?)");
  }
  return std::nullopt;
}

std::string VerdictText(long verdict, const X509* certificate) {
  const std::string whose = certificate == nullptr ? "its certificate" : "its certificate " + SubjectOf(certificate);
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      if (certificate != nullptr) {
        if (const std::optional<std::string> why = WhyNotValidNow(certificate)) return absl::StrCat(whose, " ", *why);
      }
      return absl::StrCat("a CA of ", whose, " has expired or is not valid yet");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
      return absl::StrCat(whose, " is of another CA",
                          certificate == nullptr ? std::string() : absl::StrCat(": ", IssuerOf(certificate)));
    case X509_V_ERR_INVALID_PURPOSE:
      return absl::StrCat(whose,
                          " is not made for this (extendedKeyUsage: servers need serverAuth, clients "
                          "clientAuth)");
    default:
      return absl::StrCat(whose, " is refused: ", X509_verify_cert_error_string(verdict));
  }
}

}  // namespace diptych
