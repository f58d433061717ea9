#include "common/net/server_runner.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/net/compression.h"
#include "common/net/grpc_library.h"
#include "common/net/listening_sockets.h"
#include "common/net/port_check.h"

namespace diptych {
namespace {

constexpr int kMostThreads = 96;

std::string TlsText(const TlsServer* tls) {
  if (tls == nullptr) return "";
  return absl::StrCat("TLS with the certificate ", tls->files().summary,
                      tls->requires_certificates() ? "; clients need one of our CA" : "; clients need none");
}

void Configure(grpc::ServerBuilder* builder, const ServerOptions& options) {
  // Whoever connects and says nothing is let go.
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 20000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Clients ping every 10 s while a call is silent (channel.cc); more often than every 5 s is abuse.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  // A client with nothing to ask connects again when it has.
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 30 * 60 * 1000);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(options.traffic.streams));
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8192);
  // Chunks are at most 1 MiB. A prompt that is too long shall be refused by the service, which says what would be
  // right.
  builder->SetMaxReceiveMessageSize(16 << 20);
  AcceptNoCompression(builder);
  // Of the calls that hold a thread. One more is RESOURCE_EXHAUSTED.
  builder->SetResourceQuota(grpc::ResourceQuota("diptych").SetMaxThreads(kMostThreads));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerRunner>> ServerRunner::Start(const Address& listen,
                                                                  const std::vector<NamedService>& services,
                                                                  const ServerOptions& options) {
  std::unique_ptr<TlsServer> tls;
  if (options.credentials.has_tls()) {
    absl::StatusOr<std::unique_ptr<TlsServer>> loaded = TlsServer::Load(options.credentials);
    if (!loaded.ok()) return loaded.status();
    tls = *std::move(loaded);
    if (options.warn) {
      for (const std::string& warning : tls->files().warnings) options.warn(warning);
    }
  }
  absl::StatusOr<ListeningSockets> sockets = ListeningSockets::Open(listen);
  if (!sockets.ok()) return sockets.status();
  KeepGrpcInitialized();
  // gRPC answers a damaged message with a status; protobuf's own lines would let a client fill our stderr.
  google::protobuf::SetLogHandler(nullptr);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  Configure(&builder, options);
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> door =
      builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  std::vector<std::string> names = {""};
  for (const NamedService& named : services) {
    builder.RegisterService(named.service);
    names.push_back(named.name);
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::InternalError("the server cannot be built");
  std::unique_ptr<ServerRunner> runner(
      new ServerRunner(sockets->addresses(), std::move(names), std::move(server), std::move(tls)));
  runner->SetServing(false);
  runner->gate_ = std::make_unique<Gate>(
      GateOptions{.traffic = options.traffic,
                  .unfinished_bytes = options.unfinished_bytes,
                  .tls = runner->tls_.get(),
                  .handshake_within = options.handshake_within,
                  .refresh_every = options.refresh_every,
                  .names = &runner->peer_names_,
                  .warn = options.warn,
                  .serve = [door = std::shared_ptr(std::move(door))](int listening, int connection) {
                    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
                    parameters.listener_fd = listening;
                    parameters.fd = connection;
                    door->HandleNewConnection(&parameters);
                  }});
  runner->acceptor_ = std::make_unique<Acceptor>(
      *std::move(sockets),
      AcceptorOptions{
          .limits = options.connections,
          .limits_hint = options.connections_hint,
          .serve = [gate = runner->gate_.get()](int listening, int connection,
                                                bool expected) { gate->Admit(listening, connection, expected); },
          .warn = options.warn});
  return runner;
}

ServerRunner::ServerRunner(std::vector<Address> addresses, std::vector<std::string> names,
                           std::unique_ptr<grpc::Server> server, std::unique_ptr<TlsServer> tls)
    : addresses_(std::move(addresses)),
      names_(std::move(names)),
      server_(std::move(server)),
      tls_(std::move(tls)),
      requires_certificates_(tls_ != nullptr && tls_->requires_certificates()),
      tls_text_(TlsText(tls_.get())) {}

ServerRunner::~ServerRunner() { Shutdown(std::chrono::milliseconds(0)); }

std::string ServerRunner::AddressesText() const {
  return absl::StrJoin(addresses_, " and ",
                       [](std::string* out, const Address& address) { *out += address.ToString(); });
}

bool ServerRunner::Answers(std::chrono::milliseconds patience) {
  const std::lock_guard lock(door_mutex_);
  if (acceptor_ == nullptr) return true;  // it is told to end, and nobody shall reach it
  std::vector<Address> announced;
  const auto expect = [&](const Address& from) {
    acceptor_->Expect(from);
    announced.push_back(from);
  };
  const bool answers = std::all_of(addresses_.begin(), addresses_.end(),
                                   [&](const Address& address) { return AnswersAtPort(address, patience, expect); });
  for (const Address& from : announced) acceptor_->ExpectNoMore(from);
  return answers;
}

void ServerRunner::SetServing(bool serving) {
  for (const std::string& name : names_) server_->GetHealthCheckService()->SetServingStatus(name, serving);
}

void ServerRunner::Shutdown(std::chrono::milliseconds grace) {
  SetServing(false);
  {
    const std::lock_guard lock(door_mutex_);
    acceptor_.reset();
  }
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
  gate_.reset();
}

}  // namespace diptych
