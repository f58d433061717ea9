// What a certificate says, in our words. For the .cc files of TLS alone: OpenSSL's types are in here.
#pragma once

#include <optional>
#include <string>

#include "common/net/openssl.h"

namespace diptych {

// By which a peer is known here: the last common name (CN) of the subject, or the first DNS name of the subject's other
// names where there is no CN. Empty when there is neither, or it is longer than 64 bytes or holds a control character.
std::string NameOf(const X509* certificate);

// The name, or the whole subject where there is no name; for messages.
std::string SubjectOf(const X509* certificate);
std::string IssuerOf(const X509* certificate);

// "DNS:box, IP:192.0.2.1": what a server with this certificate may be called.
std::string HostsOf(const X509* certificate);

// "2026-12-31 23:59 UTC"
std::string TimeText(const ASN1_TIME* time);

// Why the certificate is not valid at this moment: "expired on ..."; nullopt: it is.
std::optional<std::string> WhyNotValidNow(const X509* certificate);

// "its certificate expired on ...": what OpenSSL's verdict (X509_V_ERR_...) on a peer's certificate means.
std::string VerdictText(long verdict, const X509* certificate);

}  // namespace diptych
