#include "common/net/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include "common/net/compression.h"
#include "common/net/grpc_library.h"

namespace diptych {
namespace {

constexpr unsigned kRefreshSeconds = 60;

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const Credentials& credentials) {
  using grpc::experimental::FileWatcherCertificateProvider;
  if (!credentials.has_tls()) return grpc::InsecureChannelCredentials();
  const std::string ca = credentials.ca == kSystemAuthorities ? "" : credentials.ca;
  grpc::experimental::TlsChannelCredentialsOptions options;
  if (!credentials.cert.empty() || !ca.empty()) {
    options.set_certificate_provider(
        std::make_shared<FileWatcherCertificateProvider>(credentials.key, credentials.cert, ca, kRefreshSeconds));
  }
  if (!ca.empty()) options.watch_root_certs();
  if (!credentials.cert.empty()) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const Address& address, const Credentials& credentials) {
  KeepGrpcInitialized();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);  // also how long one attempt to connect may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);  // the server tolerates pings every 5 s, see server_runner.cc
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit: an encode is silent while it computes
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);  // an address that has changed is found soon
  arguments.SetMaxReceiveMessageSize(kLargestAnswer);
  AcceptNoCompression(&arguments);
  return grpc::CreateCustomChannel(address.ToString(), MakeCredentials(credentials), arguments);
}

void ConnectAnew(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::experimental::ChannelResetConnectionBackoff(channel.get());
}

}  // namespace diptych
