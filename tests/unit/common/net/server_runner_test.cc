#include "common/net/server_runner.h"

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/net/channel.h"
#include "common/net/host_lookup.h"
#include "common/net/listening_sockets.h"
#include "common/net/port_check.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Answers Describe after a while, or as soon as the call is cancelled.
class SlowEncoder final : public v1::Encoder::Service {
 public:
  std::atomic<bool> entered = false;
  std::atomic<bool> saw_cancel = false;
  std::atomic<milliseconds> answers_after{milliseconds(0)};

  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeEncoderRequest*,
                        v1::DescribeEncoderResponse* response) override {
    entered = true;
    const auto end = steady_clock::now() + answers_after.load();
    while (steady_clock::now() < end) {
      if (context->IsCancelled()) {
        saw_cancel = true;
        return grpc::Status::CANCELLED;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    response->set_width(48);
    return grpc::Status::OK;
  }
};

struct Fixture {
  SlowEncoder service;
  std::unique_ptr<ServerRunner> runner =
      *ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &service}});
  std::shared_ptr<grpc::Channel> channel = MakeChannel(runner->address());

  grpc::Status Describe(v1::DescribeEncoderResponse* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(20));
    context.set_wait_for_ready(true);
    return v1::Encoder::NewStub(channel)->Describe(&context, {}, response);
  }
};

std::string Text(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

// One call with hand-made bytes: no generated code for the standard services is installed.
std::string RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                    const std::string& request, bool streaming) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  context.set_wait_for_ready(true);
  grpc::CompletionQueue queue;
  grpc::Slice slice(request);
  const grpc::ByteBuffer sent(&slice, 1);
  grpc::ByteBuffer received;
  grpc::Status status;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  if (streaming) {
    const auto call = stub.PrepareCall(&context, method, &queue);
    call->StartCall(nullptr);
    EXPECT_TRUE(next());
    call->Write(sent, nullptr);
    EXPECT_TRUE(next());
    call->Read(&received, nullptr);
    EXPECT_TRUE(next());
    call->WritesDone(nullptr);
    next();
    call->Finish(&status, nullptr);
    next();
  } else {
    const auto call = stub.PrepareUnaryCall(&context, method, sent, &queue);
    call->StartCall();
    call->Finish(&received, &status, nullptr);
    EXPECT_TRUE(next());
  }
  return status.ok() ? Text(received) : "status " + std::to_string(status.error_code());
}

// HealthCheckRequest{service = 1}; HealthCheckResponse{status = 1}: 1 SERVING, 2 NOT_SERVING.
std::string Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  const std::string request = service.empty() ? "" : std::string("\x0a") + static_cast<char>(service.size()) + service;
  return RawCall(channel, "/grpc.health.v1.Health/Check", request, false);
}

const std::string kServing("\x08\x01"), kNotServing("\x08\x02");

TEST(ServerRunner, ReportsThePortThatWasChosen) {
  Fixture f;
  EXPECT_NE(f.runner->address().port, 0);
  v1::DescribeEncoderResponse response;
  const grpc::Status status = f.Describe(&response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.width(), 48);
}

TEST(ServerRunner, HealthIsNotServingUntilToldSo) {
  Fixture f;
  EXPECT_EQ(Health(f.channel, ""), kNotServing);
  EXPECT_EQ(Health(f.channel, "diptych.v1.Encoder"), kNotServing);
  f.runner->SetServing(true);
  EXPECT_EQ(Health(f.channel, ""), kServing);
  EXPECT_EQ(Health(f.channel, "diptych.v1.Encoder"), kServing);
  f.runner->SetServing(false);
  EXPECT_EQ(Health(f.channel, "diptych.v1.Encoder"), kNotServing);
}

TEST(ServerRunner, ReflectionListsTheServices) {
  Fixture f;
  // ServerReflectionRequest{list_services = 7: "*"}
  const std::string answer =
      RawCall(f.channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "\x3a\x01*", true);
  EXPECT_NE(answer.find("diptych.v1.Encoder"), std::string::npos) << answer;
  EXPECT_NE(answer.find("grpc.health.v1.Health"), std::string::npos) << answer;
}

TEST(ServerRunner, RefusesAPortThatAnotherServerListensOn) {
  Fixture f;
  SlowEncoder second;
  const auto refused = ServerRunner::Start(f.runner->address(), {{v1::Encoder::service_full_name(), &second}});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(refused.status().message().find("another program listens there; --listen HOST:PORT chooses another"),
            std::string::npos)
      << refused.status();
  EXPECT_NE(refused.status().message().find(f.runner->address().ToString()), std::string::npos) << refused.status();
}

TEST(ServerRunner, RefusesAnAddressOfAnotherMachine) {
  SlowEncoder service;
  const auto refused = ServerRunner::Start({"192.0.2.1", 0}, {{v1::Encoder::service_full_name(), &service}});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable) << refused.status();
  EXPECT_EQ(refused.status().message(),
            "cannot listen on 192.0.2.1:0: that is no address of this machine; --listen HOST:PORT chooses another "
            "address (port 0: any free port)");
}

// A connection that says nothing, as a port scanner's.
class Silent {
 public:
  explicit Silent(const Address& to) {
    const SocketAddress there = LookUp(to)->front();
    EXPECT_EQ(connect(fd_, there.get(), there.size), 0);
  }
  ~Silent() { close(fd_); }
  Silent(const Silent&) = delete;
  Silent& operator=(const Silent&) = delete;

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

TEST(ServerRunner, AnswersAtItsPortAlsoWhenItHasAllTheConnectionsThatItTakes) {
  SlowEncoder service;
  const auto runner = *ServerRunner::Start({"localhost", 0}, {{v1::Encoder::service_full_name(), &service}},
                                           {.connections = {.in_all = 2, .per_host = 2}});
  EXPECT_TRUE(runner->Answers(seconds(20)));
  const Silent first(runner->address()), second(runner->address()), third(runner->address());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(runner->Answers(seconds(20)));
  EXPECT_FALSE(AnswersAtPort(runner->address(), seconds(20), [](const Address&) {})) << "others are kept out";
}

TEST(ServerRunner, SeesThatNobodyAnswersAtAPort) {
  const auto sockets = ListeningSockets::Open({"127.0.0.1", 0});  // connections are made, and nobody takes them
  EXPECT_FALSE(AnswersAtPort(sockets->addresses()[0], milliseconds(200), [](const Address&) {}));
}

TEST(ServerRunner, AnswersAtAWildcard) {
  SlowEncoder service;
  for (const char* host : {"0.0.0.0", "::"}) {
    const auto runner = ServerRunner::Start({host, 0}, {{v1::Encoder::service_full_name(), &service}});
    if (!runner.ok()) continue;  // no IPv6 here
    EXPECT_TRUE((*runner)->Answers(seconds(20))) << host;
  }
}

TEST(ServerRunner, ServesAgainWhenConnectionsThatSaidNothingAreGone) {
  SlowEncoder service;
  const auto runner = *ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &service}},
                                           {.connections = {.in_all = 3, .per_host = 3}});
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Silent>> held;
    for (int i = 0; i < 5; ++i) held.push_back(std::make_unique<Silent>(runner->address()));
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  context.set_wait_for_ready(true);
  v1::DescribeEncoderResponse response;
  const grpc::Status status = v1::Encoder::NewStub(MakeChannel(runner->address()))->Describe(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST(ServerRunner, ShutdownLetsACallFinishWithinItsGrace) {
  Fixture f;
  f.service.answers_after = milliseconds(300);
  grpc::Status status = grpc::Status::CANCELLED;
  std::thread caller([&] {
    v1::DescribeEncoderResponse response;
    status = f.Describe(&response);
  });
  while (!f.service.entered) std::this_thread::sleep_for(milliseconds(1));
  f.runner->Shutdown(seconds(20));
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST(ServerRunner, ShutdownCancelsACallThatOutlivesItsGrace) {
  Fixture f;
  f.service.answers_after = milliseconds(60'000);
  grpc::Status status;
  std::thread caller([&] {
    v1::DescribeEncoderResponse response;
    status = f.Describe(&response);
  });
  while (!f.service.entered) std::this_thread::sleep_for(milliseconds(1));
  const auto start = steady_clock::now();
  f.runner->Shutdown(milliseconds(100));
  EXPECT_LT(steady_clock::now() - start, seconds(20));
  caller.join();
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(f.service.saw_cancel);
}

TEST(ServerRunner, ThePortIsFreeAgainAfterShutdown) {
  Fixture f;
  f.runner->Shutdown(milliseconds(0));
  SlowEncoder second;
  const auto again = ServerRunner::Start(f.runner->address(), {{v1::Encoder::service_full_name(), &second}});
  EXPECT_TRUE(again.ok()) << again.status();
}

}  // namespace
}  // namespace diptych
