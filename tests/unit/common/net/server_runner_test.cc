#include "common/net/server_runner.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <poll.h>
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
#include "common/net/peer.h"
#include "common/net/port_check.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/support/raw_http2.h"

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

TEST(ServerRunner, NoServerTakesACompressedMessage) {
  Fixture f;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  context.set_wait_for_ready(true);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::EncodeRequest request;
  request.mutable_prompt()->set_user(std::string(100'000, ' '));
  const auto channel = grpc::CreateChannel(f.runner->address().ToString(), grpc::InsecureChannelCredentials());
  v1::EncodeResponse response;
  const auto reader = v1::Encoder::NewStub(channel)->Encode(&context, request);
  EXPECT_FALSE(reader->Read(&response));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  EXPECT_NE(status.error_message().find("ompress"), std::string::npos) << status.error_message();
}

TEST(ServerRunner, NoChannelTakesACompressedMessage) {
  class Compressing final : public v1::Encoder::Service {
    grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeEncoderRequest*,
                          v1::DescribeEncoderResponse* response) override {
      context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
      response->set_device(std::string(1 << 20, ' '));
      return grpc::Status::OK;
    }
  } service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  context.set_wait_for_ready(true);
  v1::DescribeEncoderResponse response;
  const grpc::Status status =
      v1::Encoder::NewStub(MakeChannel({"127.0.0.1", static_cast<uint16_t>(port)}))->Describe(&context, {}, &response);
  EXPECT_TRUE(!status.ok() || response.device().size() < (1 << 20));
  EXPECT_FALSE(status.ok()) << "the peer could not compress, or it was unpacked";
}

TEST(ServerRunner, ACallKnowsTheHostOfItsPeer) {
  class Telling final : public v1::Encoder::Service {
    grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeEncoderRequest*,
                          v1::DescribeEncoderResponse* response) override {
      response->set_device(HostOfPeer(context->peer()));
      response->set_program_version(context->peer());
      return grpc::Status::OK;
    }
  } service;
  for (const std::string host : {"127.0.0.1", "::1"}) {
    const auto runner = ServerRunner::Start({host, 0}, {{v1::Encoder::service_full_name(), &service}});
    if (!runner.ok()) continue;  // no IPv6 here
    std::string first;
    for (int connection = 0; connection < 2; ++connection) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + seconds(20));
      context.set_wait_for_ready(true);
      grpc::ChannelArguments own;
      own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      const auto channel =
          grpc::CreateCustomChannel((*runner)->address().ToString(), grpc::InsecureChannelCredentials(), own);
      v1::DescribeEncoderResponse response;
      const grpc::Status status = v1::Encoder::NewStub(channel)->Describe(&context, {}, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(response.device(), host) << response.program_version();
      EXPECT_NE(response.program_version(), first) << "connections are told apart";
      first = response.program_version();
    }
  }
}

TEST(ServerRunner, WhoSpeaksAnotherProtocolIsLetGoAtOnce) {
  Fixture f;
  const SocketAddress there = LookUp(f.runner->address())->front();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(fd, there.get(), there.size), 0);
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  pollfd ended = {fd, POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 20'000), 1);
  char byte;
  EXPECT_LE(recv(fd, &byte, 1, 0), 0) << "a byte was answered";
  close(fd);
  v1::DescribeEncoderResponse response;
  EXPECT_TRUE(f.Describe(&response).ok());
}

TEST(ServerRunner, HeadersWithoutEndCloseTheirConnectionAndNoOther) {
  Fixture f;
  RawHttp2 attacker(f.runner->address());
  // A literal header of which a gigabyte is announced (RFC 7541, 5.2).
  const std::string begin =
      RawHttp2::CallHeaders("/diptych.v1.Encoder/Describe") + std::string("\x10\x01x\x7f\x81\xff\xff\xff\x03", 9);
  attacker.Send(RawHttp2::FrameOf(Http2Frame::kHeaders, 0, 1, begin));
  int64_t sent = 0;
  while (sent < (64 << 20) &&
         attacker.Send(RawHttp2::FrameOf(Http2Frame::kContinuation, 0, 1, std::string(8000, 'v')))) {
    sent += 8000;
  }
  EXPECT_TRUE(attacker.IsClosedWithin(seconds(20)));
  EXPECT_LT(sent, 64 << 20);
  v1::DescribeEncoderResponse response;
  EXPECT_TRUE(f.Describe(&response).ok());
}

TEST(ServerRunner, TheOneThatHoldsMostOfUnfinishedMessagesIsLetGoWhenTheyAreTooMuch) {
  SlowEncoder service;
  const auto runner = *ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &service}},
                                           {.connections = {}, .unfinished_bytes = 100'000});
  RawHttp2 modest(runner->address()), greedy(runner->address()), late(runner->address());
  const auto send = [](RawHttp2& connection, size_t bytes) {
    const std::string part = RawHttp2::MessageOf(std::string(1 << 20, 'z')).substr(0, bytes);
    const uint32_t stream = connection.Open("/diptych.v1.Encoder/Encode");
    for (size_t at = 0; at < part.size(); at += 10'000) {
      connection.Send(RawHttp2::FrameOf(Http2Frame::kData, 0, stream, part.substr(at, 10'000)));
    }
  };
  send(modest, 30'000);
  send(greedy, 60'000);
  EXPECT_FALSE(greedy.IsClosedWithin(milliseconds(200)));
  send(late, 40'000);
  EXPECT_TRUE(greedy.IsClosedWithin(seconds(20)));
  EXPECT_FALSE(modest.IsClosedWithin(milliseconds(100)));
  EXPECT_FALSE(late.IsClosedWithin(milliseconds(1)));
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
