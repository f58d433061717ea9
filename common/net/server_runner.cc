#include "common/net/server_runner.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/net/grpc_library.h"

namespace diptych {
namespace {

// What the user reads who asked for an address that cannot be had.
absl::Status CannotListen(absl::StatusCode code, const Address& listen, const std::string& reason) {
  return absl::Status(code, absl::StrCat("cannot listen on ", listen.ToString(), reason.empty() ? "" : ": ", reason,
                                         "; --listen HOST:PORT chooses another address (port 0: any free port)"));
}

std::string ReasonText(int error) {
  if (error == EADDRINUSE) return "another program listens there";
  if (error == EADDRNOTAVAIL) return "that is no address of this machine";
  return std::strerror(error);
}

// Binds the address and lets go of it again: gRPC would fail without telling the reason.
absl::Status CheckCanListen(const Address& listen) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(listen.host.c_str(), std::to_string(listen.port).c_str(), &hints, &found);
      error != 0) {
    return CannotListen(absl::StatusCode::kInvalidArgument, listen, gai_strerror(error));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  int reason = 0;
  bool can = false;
  for (const addrinfo* candidate = found; candidate != nullptr; candidate = candidate->ai_next) {
    const int fd = socket(candidate->ai_family, candidate->ai_socktype | SOCK_CLOEXEC, candidate->ai_protocol);
    if (fd < 0) {
      if (reason == 0) reason = errno;
      continue;
    }
    const absl::Cleanup close_fd = [fd] { close(fd); };
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, candidate->ai_addr, candidate->ai_addrlen) == 0 && ::listen(fd, 1) == 0) {
      can = true;
    } else {
      reason = errno;
      if (reason == EADDRINUSE) break;  // half of localhost would be another daemon's
    }
  }
  if (can && reason != EADDRINUSE) return absl::OkStatus();
  return CannotListen(absl::StatusCode::kUnavailable, listen, ReasonText(reason));
}

void Configure(grpc::ServerBuilder* builder) {
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second daemon on the same port is refused
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Clients ping every 10 s while a call is silent (channel.cc); more often than every 5 s is abuse.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  // Chunks are at most 1 MiB. A prompt that is too long shall be refused by the service, which says what would be
  // right.
  builder->SetMaxReceiveMessageSize(16 << 20);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerRunner>> ServerRunner::Start(const Address& listen,
                                                                  const std::vector<NamedService>& services) {
  if (absl::Status s = CheckCanListen(listen); !s.ok()) return s;
  KeepGrpcInitialized();
  // gRPC answers a damaged message with a status; protobuf's own lines would let a client fill our stderr.
  google::protobuf::SetLogHandler(nullptr);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  Configure(&builder);
  int port = 0;
  builder.AddListeningPort(listen.ToString(), grpc::InsecureServerCredentials(), &port);
  std::vector<std::string> names = {""};
  for (const NamedService& named : services) {
    builder.RegisterService(named.service);
    names.push_back(named.name);
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return CannotListen(absl::StatusCode::kUnavailable, listen, "");
  }
  Address bound{listen.host, static_cast<uint16_t>(port)};
  std::unique_ptr<ServerRunner> runner(new ServerRunner(std::move(bound), std::move(names), std::move(server)));
  runner->SetServing(false);
  return runner;
}

ServerRunner::ServerRunner(Address address, std::vector<std::string> names, std::unique_ptr<grpc::Server> server)
    : address_(std::move(address)), names_(std::move(names)), server_(std::move(server)) {}

ServerRunner::~ServerRunner() { Shutdown(std::chrono::milliseconds(0)); }

void ServerRunner::SetServing(bool serving) {
  for (const std::string& name : names_) server_->GetHealthCheckService()->SetServingStatus(name, serving);
}

void ServerRunner::Shutdown(std::chrono::milliseconds grace) {
  SetServing(false);
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
}

}  // namespace diptych
