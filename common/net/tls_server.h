// The server's side of TLS, between bytes and bytes: it owns no socket and no thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/credentials.h"
#include "common/net/tls_files.h"

namespace diptych {

// One connection. TLS 1.2 or 1.3, HTTP/2 alone (ALPN h2), no renegotiation, no resumption: every connection shows its
// certificate anew. Not thread-safe.
class TlsSession {
 public:
  virtual ~TlsSession() = default;

  // Takes what came from the peer; appends what it means to `plain`, and what the peer must get, to `to_peer`. False:
  // the connection must end, when `to_peer` has gone out, and failure() says why.
  virtual bool Receive(std::string_view bytes, std::string* plain, std::string* to_peer) = 0;

  // Appends these bytes, sealed. False as above. Wants is_open().
  virtual bool Send(std::string_view plain, std::string* to_peer) = 0;

  // Appends the word that nothing more comes.
  virtual void Close(std::string* to_peer) = 0;

  virtual bool is_open() const = 0;  // the handshake is over

  // What the peer's certificate says (NameOf, certificate.h). Empty when none is required.
  virtual const std::string& peer_name() const = 0;

  // "its certificate expired on ..."; about the peer.
  virtual const std::string& failure() const = 0;

  // Records of less than kSmallRecord bytes, and messages that belong to no data, since the last time this was asked:
  // each costs as much as a full one.
  static constexpr int kSmallRecord = 256;
  virtual int64_t TakeSmallRecords() = 0;
};

// Not thread-safe.
class TlsServer {
 public:
  // Fails as ReadTlsFiles does.
  static absl::StatusOr<std::unique_ptr<TlsServer>> Load(const Credentials& credentials);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  const TlsFiles& files() const { return files_; }
  bool requires_certificates() const { return !credentials_.ca.empty(); }

  // Null when there is no memory.
  std::unique_ptr<TlsSession> Begin() const;

  // Reads the files again when one of them has changed: new connections get what they hold then. True: they do. A
  // status: they are not as they must be, and what was read before goes on; said once for each change.
  absl::StatusOr<bool> Refresh();

 private:
  struct Context;
  explicit TlsServer(Credentials credentials) : credentials_(std::move(credentials)) {}
  absl::Status Read();
  std::string Stamps() const;

  const Credentials credentials_;
  TlsFiles files_;
  std::shared_ptr<const Context> context_;
  std::string stamps_;  // of the files, when they were last read
};

}  // namespace diptych
