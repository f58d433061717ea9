#include "common/net/tls_advice.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files/file_descriptor.h"
#include "common/foreign_text/foreign_text.h"
#include "common/net/certificate.h"
#include "common/net/host_lookup.h"
#include "common/net/openssl.h"
#include "common/net/tls_files.h"

namespace diptych {
namespace {

constexpr timeval kPatience{0, 500'000};  // of each of three waits
constexpr unsigned char kHttp2[] = {2, 'h', '2'};
constexpr char kSpeaksTls[] =
    "it speaks TLS, and this connection is plain text: give --tls-ca FILE, the CA of its certificate";

// What is wrong with the certificate that the server shows.
struct Verdict {
  long error = X509_V_OK;
  std::string text;
};

int NoteVerdict(int accepted, X509_STORE_CTX* store) {
  if (accepted == 1) return 1;
  const auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& verdict = *static_cast<Verdict*>(SSL_get_app_data(ssl));
  const X509* const shown = X509_STORE_CTX_get0_cert(store);
  verdict.error = X509_STORE_CTX_get_error(store);
  verdict.text = VerdictText(verdict.error, shown);
  if (verdict.error == X509_V_ERR_HOSTNAME_MISMATCH || verdict.error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    const std::string hosts = HostsOf(shown);
    verdict.text = absl::StrCat("its certificate ", SubjectOf(shown),
                                hosts.empty() ? " names no host (subjectAltName)" : " is of " + hosts);
  }
  return 0;
}

// A connected socket whose waits end; none where nobody could be reached.
FileDescriptor ConnectTo(const Address& address) {
  const absl::StatusOr<std::vector<SocketAddress>> found = LookUp(address);
  if (!found.ok()) return FileDescriptor();
  const SocketAddress& there = found->front();
  FileDescriptor connection(socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connection.get() < 0) return FileDescriptor();
  setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return connect(connection.get(), there.get(), there.size) == 0 ? std::move(connection) : FileDescriptor();
}

SslContext MakeContext(const Credentials& credentials, const TlsFiles& files) {
  SslContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_alpn_protos(context.get(), kHttp2, sizeof kHttp2);
  if (!credentials.has_tls()) return context;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, NoteVerdict);
  if (files.authorities.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else {
    SSL_CTX_load_verify_locations(context.get(), credentials.ca.c_str(), nullptr);
  }
  if (!credentials.cert.empty()) {
    SSL_CTX_use_certificate_chain_file(context.get(), credentials.cert.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), credentials.key.c_str(), SSL_FILETYPE_PEM);
  }
  ERR_clear_error();
  return context;
}

void ExpectHost(SSL* ssl, const std::string& host) {
  in6_addr any;
  if (inet_pton(AF_INET, host.c_str(), &any) == 1 || inet_pton(AF_INET6, host.c_str(), &any) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
}

// What the peer's last words mean, alert or not; nullopt: they are none.
std::optional<std::string> RefusalText(const Credentials& credentials) {
  const unsigned long error = ERR_peek_last_error();
  const int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || alert <= 0) return std::nullopt;
  const std::string ours = absl::StrCat("it refuses our certificate (--tls-cert ", ForeignText(credentials.cert), ")");
  const bool shows_none = credentials.cert.empty();
  switch (alert) {
    case SSL_AD_CERTIFICATE_REQUIRED:
      return "it asks for a certificate: give --tls-cert and --tls-key, made by its CA";
    case SSL_AD_HANDSHAKE_FAILURE:  // TLS 1.2 says no more
      if (shows_none) return "it may ask for a certificate: give --tls-cert and --tls-key, made by its CA";
      break;
    case SSL_AD_UNKNOWN_CA:
      if (!shows_none) return absl::StrCat(ours, ": it is of another CA than the one it asks for");
      break;
    case SSL_AD_CERTIFICATE_EXPIRED:
      if (!shows_none) return absl::StrCat(ours, ": it has expired");
      break;
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_ACCESS_DENIED:
      if (!shows_none) {
        return absl::StrCat(ours, ": ", SSL_alert_desc_string_long(alert), "; its log says why");
      }
      break;
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return "it does not offer HTTP/2 (ALPN h2): it is no daemon of ours";
    default:
      break;
  }
  return absl::StrCat("it ends the TLS handshake: ", SSL_alert_desc_string_long(alert), "; its log says why");
}

std::string WhyNotConnected(SSL* ssl, int result, const Verdict& verdict, const Address& address,
                            const Credentials& credentials) {
  const int error = SSL_get_error(ssl, result);
  switch (verdict.error) {
    case X509_V_OK:
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return absl::StrCat(verdict.text, ", not of ", address.host);
    default: {
      if (!absl::StrContains(verdict.text, "of another CA")) return verdict.text;
      return credentials.ca.empty() || credentials.ca == kSystemAuthorities
                 ? absl::StrCat(verdict.text, ", which is none of this system's; --tls-ca FILE names your own CA")
                 : absl::StrCat(verdict.text, ", not of --tls-ca ", ForeignText(credentials.ca));
    }
  }
  if (error == SSL_ERROR_SSL) {
    if (const std::optional<std::string> refusal = RefusalText(credentials)) return *refusal;
    switch (ERR_GET_REASON(ERR_peek_last_error())) {
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_HTTP_REQUEST:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
        return "it speaks plain text where TLS is wanted: the daemon there has no --tls-cert";
      case SSL_R_UNSUPPORTED_PROTOCOL:
        return "it offers no TLS of version 1.2 or later";
      case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        break;
      default:
        return absl::StrCat("the TLS handshake fails: ", TakeOpensslReason());
    }
  } else if (error != SSL_ERROR_SYSCALL) {
    return "";
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return "it does not answer the TLS greeting: it may speak plain text";
  return "it closed the connection at the TLS greeting: it may speak plain text (no --tls-cert there), or have as many "
         "connections as it takes (its log says so)";
}

// Whether one that is greeted with TLS answers in kind.
bool AnswersTls(SSL* ssl) {
  const int result = SSL_connect(ssl);
  if (result == 1) return true;
  // Its certificate is not judged here; an alert is an answer, too.
  return SSL_get_error(ssl, result) == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_last_error()) > SSL_AD_REASON_OFFSET;
}

// Writing to a connection that was closed raises no SIGPIPE in this thread.
class NoSignalOfBrokenPipes {
 public:
  NoSignalOfBrokenPipes() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSignalOfBrokenPipes() {
    constexpr timespec kAtOnce{0, 0};
    if (sigismember(&before_, SIGPIPE) == 0) sigtimedwait(&pipe_, nullptr, &kAtOnce);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_, before_;
};

std::string Probe(const Address& address, const Credentials& credentials) {
  TlsFiles files;
  if (credentials.has_tls()) {
    absl::StatusOr<TlsFiles> read = ReadTlsFiles(credentials, TlsEnd::kClient);
    if (!read.ok()) return std::string(read.status().message());
    files = *std::move(read);
  }
  const NoSignalOfBrokenPipes quiet;  // OpenSSL's own sockets know no MSG_NOSIGNAL
  const FileDescriptor connection = ConnectTo(address);
  const int fd = connection.get();
  if (fd < 0) return "";
  const absl::Cleanup end = [] { ERR_clear_error(); };
  const SslContext context = MakeContext(credentials, files);
  const Ssl ssl(SSL_new(context.get()));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), fd) != 1) return "";
  ERR_clear_error();
  errno = 0;
  if (!credentials.has_tls()) return AnswersTls(ssl.get()) ? kSpeaksTls : "";
  Verdict verdict;
  SSL_set_app_data(ssl.get(), &verdict);
  ExpectHost(ssl.get(), address.host);
  if (const int result = SSL_connect(ssl.get()); result != 1) {
    return WhyNotConnected(ssl.get(), result, verdict, address, credentials);
  }
  // With TLS 1.3 the peer judges our certificate when we think that all is well.
  char byte = 0;
  ERR_clear_error();
  if (SSL_read(ssl.get(), &byte, 1) <= 0) {
    if (const std::optional<std::string> refusal = RefusalText(credentials)) return *refusal;
  }
  return "";
}

}  // namespace

bool HoldsTlsAdvice(std::string_view message) {
  const absl::string_view text(message.data(), message.size());
  const auto holds = [&](const char* part) { return absl::StrContains(text, part); };
  return holds("TLS") || holds("ertificate") || holds("(ALPN") || holds("--tls-");
}

std::string TlsAdvice(std::string_view message, const std::string& address, const Credentials& credentials) {
  const auto says = [&](const char* part) {
    return absl::StrContains(absl::string_view(message.data(), message.size()), part);
  };
  // Nobody listens, or nobody is found: TLS has not begun.
  if (says("refused") || says("no address found") || says("unreachable") || says("No route")) return "";
  const bool broken = says("closed") || says("reset") || says("Broken pipe") || says("parsing") || says("HTTP") ||
                      says("GOAWAY") || says("settings frame");
  const bool of_tls = says("andshake") || says("ertific") || says("erification") || says("SSL") || says("TLS") ||
                      says("no connection") || says("failed to connect");
  if (!broken && !(credentials.has_tls() && of_tls)) return "";
  const absl::StatusOr<Address> parsed = ParseAddress(address);
  return parsed.ok() ? Probe(*parsed, credentials) : "";
}

}  // namespace diptych
