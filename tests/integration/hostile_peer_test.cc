// A render daemon under attack: what it holds stays within bounds, and an honest client is served meanwhile.
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/net/channel.h"
#include "diptych/v1/render.grpc.pb.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/integration/support/user.h"
#include "tests/support/certificates.h"
#include "tests/support/raw_http2.h"
#include "tests/support/tls_tunnel.h"

namespace diptych::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

const std::string kGet = "/diptych.v1.Renderer/Get", kWatch = "/diptych.v1.Renderer/Watch",
                  kSubmit = "/diptych.v1.Renderer/Submit";

int64_t ResidentMegabytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stoll(line.substr(6)) / 1024;
  }
  return 0;
}

int64_t Threads(pid_t pid) {
  return std::distance(std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task"), {});
}

class HostilePeer : public testing::Test, protected Scratch {
 protected:
  explicit HostilePeer(const Arguments& more = {}, const Credentials& own = {})
      : renderer_(StartRenderer(ToyPath("toy_a"), "", *this / "state", Arguments{"--threads", "1"} + more)),
        stub_(v1::Renderer::NewStub(MakeChannel(*ParseAddress(renderer_.address()), own))) {
    v1::SubmitRequest request;
    *request.mutable_spec() = Spec(100);
    job_ = Submit(request);
    EXPECT_NE(job_, "");
  }

  static v1::JobSpec Spec(size_t prompt_bytes) {
    v1::JobSpec spec;
    spec.mutable_prompt()->set_user(std::string(prompt_bytes, 'p'));
    spec.set_width(64);
    spec.set_height(64);
    spec.set_steps(1);
    return spec;
  }
  std::unique_ptr<RawHttp2> Connect() const { return std::make_unique<RawHttp2>(*ParseAddress(renderer_.address())); }
  std::string IdMessage() const {
    v1::GetRequest request;
    request.set_id(job_);
    return RawHttp2::MessageOf(request.SerializeAsString());
  }

  static void SetDeadline(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + seconds(20));
    context->set_wait_for_ready(true);
  }
  // The id; empty: it was refused.
  std::string Submit(const v1::SubmitRequest& request) const {
    grpc::ClientContext context;
    SetDeadline(&context);
    v1::SubmitResponse response;
    const auto writer = stub_->Submit(&context, &response);
    writer->Write(request);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.id();
  }

  // Runs the attack, with an honest client's calls of Get beside it, and judges what it has cost at most.
  void Under(const std::function<void()>& attack) {
    const int64_t idle = ResidentMegabytes(renderer_.pid());
    std::atomic<bool> over = false;
    std::vector<double> took_ms;
    int64_t most_memory = 0, most_threads = 0;
    std::thread honest([&] {
      while (!over || took_ms.size() < 20) {
        const auto begin = steady_clock::now();
        grpc::ClientContext context;
        SetDeadline(&context);
        v1::GetRequest request;
        request.set_id(job_);
        v1::GetResponse response;
        const grpc::Status status = stub_->Get(&context, request, &response);
        EXPECT_TRUE(status.ok()) << status.error_message();
        took_ms.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count());
        most_memory = std::max(most_memory, ResidentMegabytes(renderer_.pid()));
        most_threads = std::max(most_threads, Threads(renderer_.pid()));
        std::this_thread::sleep_for(milliseconds(10));
      }
    });
    attack();
    over = true;
    honest.join();
    std::sort(took_ms.begin(), took_ms.end());
    EXPECT_LE(most_memory - idle, 300) << "MB above what it had, idle";
    EXPECT_LE(most_threads, 200);
    // On an idle machine with two cores it is below 50 ms; others may run here.
    EXPECT_LT(took_ms[took_ms.size() * 99 / 100], 2000) << "ms, at the 99th percentile of " << took_ms.size();
    RecordProperty("memory_mb", static_cast<int>(most_memory - idle));
    RecordProperty("threads", static_cast<int>(most_threads));
    RecordProperty("get_ms", static_cast<int>(took_ms[took_ms.size() * 99 / 100]));
  }
  static void For(milliseconds time, const std::function<bool()>& step) {
    const auto end = steady_clock::now() + time;
    while (steady_clock::now() < end && step()) {
    }
  }

  Daemon renderer_;
  const std::unique_ptr<v1::Renderer::Stub> stub_;
  std::string job_;
};

// The honest client and the attackers have certificates of the same CA.
class OfOneAuthority {
 protected:
  const Scratch folder_;
  const TestAuthority authority_{folder_ / ""};
  const Credentials server_ = authority_.Issue("server"), honest_ = authority_.Issue("honest", {.name = "honest"}),
                    mallory_ = authority_.Issue("mallory", {.name = "mallory"});
};

class HostilePeerInsideTls : private OfOneAuthority, public HostilePeer {
 protected:
  HostilePeerInsideTls()
      : HostilePeer({"--tls-cert", server_.cert, "--tls-key", server_.key, "--tls-ca", server_.ca}, honest_) {}

  std::unique_ptr<TlsTunnel> Tunnel() const {
    return std::make_unique<TlsTunnel>(*ParseAddress(renderer_.address()), mallory_);
  }
};

TEST_F(HostilePeer, OpensStreamsAndResetsThem) {
  Under([&] {
    const auto attacker = Connect();
    const auto other = Connect();
    For(seconds(2), [&] {
      std::string frames, watches;
      for (int i = 0; i < 100; ++i) {
        const uint32_t stream = attacker->NextStream();
        const std::string headers = RawHttp2::CallHeaders(kGet);
        frames +=
            RawHttp2::FrameOf(Http2Frame::kHeaders, Http2Frame::kEndHeaders | Http2Frame::kEndStream, stream, headers);
        frames += RawHttp2::ResetOf(stream);
        watches +=
            RawHttp2::FrameOf(Http2Frame::kHeaders, Http2Frame::kEndHeaders, stream, RawHttp2::CallHeaders(kWatch));
        watches += RawHttp2::FrameOf(Http2Frame::kData, Http2Frame::kEndStream, stream, IdMessage());
        watches += RawHttp2::ResetOf(stream);
      }
      attacker->Send(frames, milliseconds(20));
      other->Send(watches, milliseconds(20));
      return true;
    });
  });
}

TEST_F(HostilePeerInsideTls, OpensStreamsAndResetsThem) {
  Under([&] {
    const auto tunnel = Tunnel();
    ASSERT_TRUE(tunnel->is_open());
    RawHttp2 attacker(tunnel->fd());
    For(seconds(2), [&] {
      std::string frames;
      for (int i = 0; i < 100; ++i) {
        const uint32_t stream = attacker.NextStream();
        frames += RawHttp2::FrameOf(Http2Frame::kHeaders, Http2Frame::kEndHeaders | Http2Frame::kEndStream, stream,
                                    RawHttp2::CallHeaders(kGet));
        frames += RawHttp2::ResetOf(stream);
      }
      attacker.Send(frames, milliseconds(20));
      return true;
    });
  });
}

TEST_F(HostilePeerInsideTls, MakesHandshakesWithoutEnd) {
  Under([&] {
    std::vector<std::thread> attackers;
    for (int i = 0; i < 4; ++i) {
      attackers.emplace_back([&] {
        For(seconds(2), [&] {
          close(Tunnel()->fd());
          return true;
        });
      });
    }
    for (std::thread& attacker : attackers) attacker.join();
  });
}

TEST_F(HostilePeer, LeavesHundredsOfSubmitsHalfOpen) {
  std::vector<std::unique_ptr<RawHttp2>> connections;
  for (int i = 0; i < 6; ++i) connections.push_back(Connect());
  Under([&] {
    v1::SubmitRequest request;
    *request.mutable_spec() = Spec(500'000);
    const std::string message = RawHttp2::MessageOf(request.SerializeAsString());
    for (int i = 0; i < 600; ++i) {
      RawHttp2& connection = *connections[static_cast<size_t>(i) % connections.size()];
      const uint32_t stream = connection.Open(kSubmit);
      for (size_t at = 0; at < message.size(); at += 16'000) {
        const std::string frame = RawHttp2::FrameOf(Http2Frame::kData, 0, stream, message.substr(at, 16'000));
        if (!connection.Send(frame, milliseconds(20))) break;
      }
    }
    std::this_thread::sleep_for(milliseconds(1200));
    EXPECT_NE(Submit(request), "") << "an honest client's";
  });
}

TEST_F(HostilePeer, WatchesAndNeverReads) {
  v1::SubmitRequest request;
  *request.mutable_spec() = Spec(1'000'000);
  job_ = Submit(request);
  std::vector<std::unique_ptr<RawHttp2>> connections;
  for (int i = 0; i < 6; ++i) connections.push_back(Connect());
  Under([&] {
    for (int i = 0; i < 500; ++i) connections[static_cast<size_t>(i) % connections.size()]->Call(kWatch, IdMessage());
    std::this_thread::sleep_for(seconds(2));
  });
}

TEST_F(HostilePeer, AsksForLargeAnswersAndNeverReadsThem) {
  v1::SubmitRequest request;
  *request.mutable_spec() = Spec(1'000'000);
  v1::GetRequest large;
  large.set_id(Submit(request));
  const std::string message = RawHttp2::MessageOf(large.SerializeAsString());
  std::vector<std::unique_ptr<RawHttp2>> connections;
  for (int i = 0; i < 6; ++i) connections.push_back(Connect());
  Under([&] {
    for (int i = 0; i < 500; ++i) connections[static_cast<size_t>(i) % connections.size()]->Call(kGet, message);
    std::this_thread::sleep_for(seconds(2));
  });
}

TEST_F(HostilePeer, AnnouncesHeadersThatNeverEnd) {
  Under([&] {
    For(seconds(1), [&] {
      RawHttp2 attacker(*ParseAddress(renderer_.address()));
      attacker.Send(
          RawHttp2::FrameOf(Http2Frame::kHeaders, 0, 1,
                            RawHttp2::CallHeaders(kGet) + std::string("\x10\x01x\x7f\x81\xff\xff\xff\x03", 9)));
      while (attacker.Send(RawHttp2::FrameOf(Http2Frame::kContinuation, 0, 1, std::string(8000, 'v')))) {
      }
      return true;
    });
  });
}

TEST_F(HostilePeer, FloodsWithFramesThatCarryNothing) {
  Under([&] {
    const auto attacker = Connect();
    const uint32_t stream = attacker->Open(kSubmit);
    std::string frames;
    for (int i = 0; i < 200; ++i) {
      frames += RawHttp2::FrameOf(Http2Frame::kSettings, 0, 0, std::string(60, '\0'));
      frames += RawHttp2::FrameOf(Http2Frame::kPriority, 0, stream, "\0\0\0\0\1");
      frames += RawHttp2::FrameOf(Http2Frame::kData, 0, stream, "");
      frames += RawHttp2::FrameOf(Http2Frame::kWindowUpdate, 0, 0, std::string("\0\0\0\1", 4));
    }
    For(seconds(1), [&] {
      attacker->Send(frames, milliseconds(20));
      return true;
    });
  });
}

TEST_F(HostilePeer, SendsAMegabyteThatUnpacksToAGigabyte) {
  Under([&] {
    // What gzip makes of zeros, in short: the flag is what counts, for nothing may be unpacked.
    const auto attacker = Connect();
    const uint32_t stream = attacker->Call(kGet, RawHttp2::MessageOf(std::string(1000, 'z'), /*compressed=*/true),
                                           {{"grpc-encoding", "gzip"}});
    std::string said;
    for (const RawHttp2::Answer& answer : attacker->Read(seconds(20), stream)) said += answer.payload;
    EXPECT_NE(said.find("ompress"), said.npos) << said;
  });
}

}  // namespace
}  // namespace diptych::integration
