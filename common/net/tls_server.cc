#include "common/net/tls_server.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/net/certificate.h"
#include "common/net/openssl.h"

namespace diptych {
namespace {

constexpr size_t kMostHandshakeBytes = 64 << 10;  // of a peer; one with a chain of certificates takes some kB
constexpr long kMostChainBytes = 32 << 10;
constexpr char kHandshakeRecord = 22;
constexpr char kCiphersOf12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";  // those of TLS 1.3 are all sound
constexpr unsigned char kHttp2[] = {2, 'h', '2'};               // as ALPN writes it

int ChooseHttp2(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kHttp2, sizeof kHttp2, offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

Bio TextBio(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Judged by ReadTlsFiles already.
bool UseCertificates(SSL_CTX* context, const TlsFiles& files) {
  const Bio chain = TextBio(files.certificates);
  const X509Certificate own(PEM_read_bio_X509_AUX(chain.get(), nullptr, nullptr, nullptr));
  if (own == nullptr || SSL_CTX_use_certificate(context, own.get()) != 1) return false;
  while (X509* const next = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) != 1) {
      X509_free(next);
      return false;
    }
  }
  ERR_clear_error();
  const PrivateKey key(PEM_read_bio_PrivateKey(TextBio(files.key).get(), nullptr, nullptr, nullptr));
  return key != nullptr && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

bool RequireCertificates(SSL_CTX* context, const std::string& authorities) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  const Bio all = TextBio(authorities);
  while (X509* const one = PEM_read_bio_X509_AUX(all.get(), nullptr, nullptr, nullptr)) {
    const X509Certificate owned(one);
    // What a client sees of us: whose certificates we take.
    if (X509_STORE_add_cert(store, one) != 1 || SSL_CTX_add_client_CA(context, one) != 1) return false;
  }
  ERR_clear_error();
  return true;
}

class Session final : public TlsSession {
 public:
  // `context` holds what the SSL needs.
  Session(std::shared_ptr<const void> context, Ssl ssl, bool requires_certificate)
      : context_(std::move(context)), requires_certificate_(requires_certificate), ssl_(std::move(ssl)) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);  // which owns them now
    SSL_set_accept_state(ssl_.get());
    SSL_set_msg_callback(ssl_.get(), &Session::CountMessage);
    SSL_set_msg_callback_arg(ssl_.get(), this);
    SSL_set_app_data(ssl_.get(), this);
    if (requires_certificate_) {
      SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &Session::JudgeCertificate);
    }
  }

  bool Receive(std::string_view bytes, std::string* plain, std::string* to_peer) override {
    const absl::Cleanup forget = [] { ERR_clear_error(); };
    if (!failure_.empty()) return false;
    if (!is_open_) {
      if (handshake_bytes_ == 0 && !bytes.empty() && bytes.front() != kHandshakeRecord) {
        return Fail("it does not speak TLS");
      }
      handshake_bytes_ += bytes.size();
    }
    ERR_clear_error();
    if (BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())) != static_cast<int>(bytes.size())) {
      return Fail("there is no memory for it");
    }
    const bool goes_on = (is_open_ || Handshake()) && (!is_open_ || ReadPlain(plain));
    TakeOutput(to_peer);
    return goes_on;
  }

  bool Send(std::string_view plain, std::string* to_peer) override {
    ERR_clear_error();
    if (!plain.empty() && SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())) <= 0) {
      return Fail(absl::StrCat("nothing more can be sent: ", TakeOpensslReason()));
    }
    TakeOutput(to_peer);
    return true;
  }

  void Close(std::string* to_peer) override {
    if (!is_open_ || !failure_.empty()) return;
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    TakeOutput(to_peer);
  }

  bool is_open() const override { return is_open_; }
  const std::string& peer_name() const override { return peer_name_; }
  const std::string& failure() const override { return failure_; }
  int64_t TakeSmallRecords() override { return std::exchange(small_records_, 0); }

 private:
  static void CountMessage(int is_sent, int, int kind, const void* bytes, size_t size, SSL*, void* session) {
    Session& self = *static_cast<Session*>(session);
    if (is_sent != 0 || !self.is_open_) return;
    const auto* const head = static_cast<const unsigned char*>(bytes);
    const bool small = kind == SSL3_RT_HEADER && size >= 5 && head[3] * 256 + head[4] < kSmallRecord;
    if (small || kind == SSL3_RT_HANDSHAKE) ++self.small_records_;
  }

  // Called for each certificate of the peer's chain, the peer's own last, and for each fault.
  static int JudgeCertificate(int accepted, X509_STORE_CTX* store) {
    const auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    Session& self = *static_cast<Session*>(SSL_get_app_data(ssl));
    const X509* const own = X509_STORE_CTX_get0_cert(store);
    if (accepted != 1) {
      self.verdict_ = VerdictText(X509_STORE_CTX_get_error(store), own);
      return 0;
    }
    if (X509_STORE_CTX_get_error_depth(store) > 0) return 1;
    self.peer_name_ = NameOf(own);
    if (!self.peer_name_.empty()) return 1;
    self.verdict_ =
        absl::StrCat("its certificate ", SubjectOf(own), " has no name: a CN or DNS name of at most 64 bytes");
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }

  bool Fail(std::string why) {
    failure_ = std::move(why);
    return false;
  }

  bool Handshake() {
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return Open();
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) return Fail(WhyNot());
    // Judged only now: bytes that came with the last of the handshake may be a message already.
    return handshake_bytes_ <= kMostHandshakeBytes || Fail("its handshake is too long");
  }

  bool Open() {
    const unsigned char* protocol = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
    if (size == 0) return Fail("it does not offer HTTP/2 (ALPN h2)");  // one that offers others is told by OpenSSL
    if (requires_certificate_ && peer_name_.empty()) return Fail("it shows no certificate");
    is_open_ = true;
    return true;
  }

  bool ReadPlain(std::string* plain) {
    char buffer[16 << 10];
    for (;;) {
      const int count = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (count > 0) {
        plain->append(buffer, static_cast<size_t>(count));
        continue;
      }
      const int why = SSL_get_error(ssl_.get(), count);
      if (why == SSL_ERROR_WANT_READ) return true;
      return Fail(why == SSL_ERROR_ZERO_RETURN ? "it has closed the connection" : WhyNot());
    }
  }

  std::string WhyNot() const {
    const unsigned long error = ERR_peek_last_error();
    const int reason = ERR_GET_REASON(error);
    if (!verdict_.empty()) return verdict_;
    switch (reason) {
      case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "it shows no certificate, which --tls-ca requires";
      case SSL_R_NO_APPLICATION_PROTOCOL:
        return "it does not offer HTTP/2 (ALPN h2)";
      case SSL_R_UNSUPPORTED_PROTOCOL:
        return "it offers no TLS of version 1.2 or later";
      case SSL_R_NO_SHARED_CIPHER:
        return "it offers no cipher that is allowed here";
      case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return absl::StrCat("it refuses our certificate: ", AlertText(reason));
      default:
        break;
    }
    const char* const text = ERR_reason_error_string(error);
    return text == nullptr ? "the handshake fails" : std::string(text);
  }

  static std::string AlertText(int reason) {
    const char* const text = SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
    return text == nullptr ? "" : std::string(text);
  }

  void TakeOutput(std::string* to_peer) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out_, &bytes);
    if (size <= 0) return;
    to_peer->append(bytes, static_cast<size_t>(size));
    (void)BIO_reset(out_);
  }

  const std::shared_ptr<const void> context_;
  const bool requires_certificate_;
  const Ssl ssl_;
  BIO* in_ = nullptr;  // the SSL's, as the next
  BIO* out_ = nullptr;
  size_t handshake_bytes_ = 0;
  bool is_open_ = false;
  int64_t small_records_ = 0;
  std::string peer_name_, verdict_, failure_;
};

}  // namespace

struct TlsServer::Context {
  SslContext ssl;
};

TlsServer::~TlsServer() = default;

absl::StatusOr<std::unique_ptr<TlsServer>> TlsServer::Load(const Credentials& credentials) {
  std::unique_ptr<TlsServer> server(new TlsServer(credentials));
  if (absl::Status s = server->Read(); !s.ok()) return s;
  return server;
}

absl::Status TlsServer::Read() {
  stamps_ = Stamps();
  absl::StatusOr<TlsFiles> files = ReadTlsFiles(credentials_, TlsEnd::kServer);
  if (!files.ok()) return files.status();
  SslContext context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const ssl = context.get();
  if (ssl == nullptr) return absl::ResourceExhaustedError("there is no memory for TLS");
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ssl, 0);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(ssl, kMostChainBytes);
  SSL_CTX_set_alpn_select_cb(ssl, ChooseHttp2, nullptr);
  if (SSL_CTX_set_cipher_list(ssl, kCiphersOf12) != 1 || !UseCertificates(ssl, *files) ||
      (requires_certificates() && !RequireCertificates(ssl, files->authorities))) {
    return absl::InvalidArgumentError(absl::StrCat("--tls-cert, --tls-key, --tls-ca: ", TakeOpensslReason()));
  }
  if (requires_certificates() && files->name.empty()) {
    files->warnings.push_back("the certificate of --tls-cert has no name (CN or DNS): as a client nobody takes it");
  }
  files_ = *std::move(files);
  context_ = std::make_shared<const Context>(Context{std::move(context)});
  return absl::OkStatus();
}

std::string TlsServer::Stamps() const {
  std::string stamps;
  for (const std::string* path : {&credentials_.cert, &credentials_.key, &credentials_.ca}) {
    struct stat facts {};
    if (path->empty() || stat(path->c_str(), &facts) != 0) facts = {};
    absl::StrAppend(&stamps, facts.st_ino, " ", facts.st_size, " ", facts.st_mtim.tv_sec, ".", facts.st_mtim.tv_nsec,
                    " ", facts.st_ctim.tv_sec, ".", facts.st_ctim.tv_nsec, "\n");
  }
  return stamps;
}

absl::StatusOr<bool> TlsServer::Refresh() {
  if (Stamps() == stamps_) return false;
  if (absl::Status s = Read(); !s.ok()) return s;
  return true;
}

std::unique_ptr<TlsSession> TlsServer::Begin() const {
  Ssl ssl(SSL_new(context_->ssl.get()));
  if (ssl == nullptr) {
    ERR_clear_error();
    return nullptr;
  }
  return std::make_unique<Session>(context_, std::move(ssl), requires_certificates());
}

}  // namespace diptych
