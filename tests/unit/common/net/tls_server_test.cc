#include "common/net/tls_server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "common/net/openssl.h"
#include "tests/support/certificates.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// A client of the session, without a socket.
class TlsServerTest : public testing::Test {
 protected:
  TlsServerTest() {
    SSL_CTX_use_certificate_chain_file(context_.get(), alice_.cert.c_str());
    SSL_CTX_use_PrivateKey_file(context_.get(), alice_.key.c_str(), SSL_FILETYPE_PEM);
    client_.reset(SSL_new(context_.get()));
    constexpr unsigned char kHttp2[] = {2, 'h', '2'};
    SSL_set_alpn_protos(client_.get(), kHttp2, sizeof kHttp2);
    SSL_set_bio(client_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client_.get());
  }
  ~TlsServerTest() override { fs::remove_all(folder_); }

  // What the client has to say now.
  std::string TakeSaid() {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(client_.get()), &bytes);
    std::string said(bytes, static_cast<size_t>(size));
    (void)BIO_reset(SSL_get_wbio(client_.get()));
    return said;
  }

  const fs::path folder_ = [] {
    const fs::path made = fs::temp_directory_path() / ("tls_server_test." + std::to_string(getpid()));
    fs::create_directories(made);
    return made;
  }();
  const TestAuthority authority_{folder_};
  const Credentials server_files_ = authority_.Issue("server");
  const Credentials alice_ = authority_.Issue("alice", {.name = "alice", .hosts = "", .usage = "clientAuth"});
  SslContext context_{SSL_CTX_new(TLS_client_method())};
  Ssl client_;
};

TEST_F(TlsServerTest, ALargeMessageMayComeTogetherWithTheLastOfTheHandshake) {
  const auto server = TlsServer::Load(server_files_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto session = (*server)->Begin();
  std::string plain, answer;
  EXPECT_NE(SSL_do_handshake(client_.get()), 1);
  ASSERT_TRUE(session->Receive(TakeSaid(), &plain, &answer)) << session->failure();
  BIO_write(SSL_get_rbio(client_.get()), answer.data(), static_cast<int>(answer.size()));
  ASSERT_EQ(SSL_do_handshake(client_.get()), 1);
  EXPECT_FALSE(session->is_open());
  const std::string message(100 << 10, 'm');  // sent before the server has seen the client's certificate
  ASSERT_EQ(SSL_write(client_.get(), message.data(), static_cast<int>(message.size())), 100 << 10);
  ASSERT_TRUE(session->Receive(TakeSaid(), &plain, &answer)) << session->failure();
  EXPECT_TRUE(session->is_open());
  EXPECT_EQ(session->peer_name(), "alice");
  EXPECT_TRUE(plain == message) << plain.size() << " bytes";
}

TEST_F(TlsServerTest, AHandshakeThatNeverEndsIsEnded) {
  const auto server = TlsServer::Load(server_files_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto session = (*server)->Begin();
  // A ClientHello of 100 kB, of which each record brings a part.
  const std::string part(16000, '\0');
  std::string hello = std::string("\x01\x01\x86\xa0\x03\x03", 6) + part;
  std::string plain, answer;
  size_t sent = 0;
  for (bool goes_on = true; goes_on && sent < 200000; hello = part) {
    const auto size = static_cast<uint16_t>(hello.size());
    const std::string record =
        std::string("\x16\x03\x01", 3) + static_cast<char>(size >> 8) + static_cast<char>(size & 255) + hello;
    goes_on = session->Receive(record, &plain, &answer);
    sent += record.size();
  }
  EXPECT_LE(sent, 96u << 10);
  EXPECT_FALSE(session->is_open());
  EXPECT_FALSE(session->failure().empty());
  EXPECT_FALSE(session->Receive("more", &plain, &answer));
}

}  // namespace
}  // namespace diptych
