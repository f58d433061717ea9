#include "common/net/port_check.h"

#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <poll.h>
#include <sys/socket.h>

#include <vector>

#include "common/files/file_descriptor.h"
#include "common/net/host_lookup.h"

namespace diptych {
namespace {

// Where this machine reaches a socket that is bound to `bound`: every address of it means loopback.
std::vector<Address> Reach(const Address& bound) {
  if (bound.host == "0.0.0.0") return {{"127.0.0.1", bound.port}};
  if (bound.host == "::") return {{"::1", bound.port}, {"127.0.0.1", bound.port}};
  return {bound};
}

// None where nobody could be reached.
FileDescriptor Connect(const Address& target, std::chrono::milliseconds patience,
                       const std::function<void(const Address&)>& announce) {
  const absl::StatusOr<std::vector<SocketAddress>> found = LookUp(target);
  const absl::StatusOr<std::vector<SocketAddress>> own = LookUp({target.host, 0});
  if (!found.ok() || !own.ok()) return FileDescriptor();
  const SocketAddress& there = found->front();
  SocketAddress here = own->front();
  FileDescriptor connection(socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = connection.get();
  if (fd < 0) return FileDescriptor();
  if (bind(fd, here.get(), here.size) != 0 || getsockname(fd, here.get(), &here.size) != 0) {
    return FileDescriptor();
  }
  announce(here.ToAddress());
  if (connect(fd, there.get(), there.size) != 0) {
    pollfd connected = {fd, POLLOUT, 0};
    int error = 0;
    socklen_t size = sizeof error;
    if (errno != EINPROGRESS || poll(&connected, 1, static_cast<int>(patience.count())) != 1 ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
      return FileDescriptor();
    }
  }
  return connection;
}

// HealthCheckRequest without a service's name has no bytes; the standard services have no generated code here.
bool AsksHealth(const std::shared_ptr<grpc::Channel>& channel, std::chrono::milliseconds patience) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  grpc::CompletionQueue queue;
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool done = false;
  return queue.Next(&tag, &done) && done && status.ok();
}

}  // namespace

bool AnswersAtPort(const Address& bound, std::chrono::milliseconds patience,
                   const std::function<void(const Address& from)>& announce) {
  for (const Address& target : Reach(bound)) {
    FileDescriptor connection = Connect(target, patience, announce);
    if (connection.get() < 0) continue;
    return AsksHealth(grpc::CreateInsecureChannelFromFd(target.ToString(), connection.Release()), patience);
  }
  return false;
}

}  // namespace diptych
