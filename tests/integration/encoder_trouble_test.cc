// Encoders that hang, lie or are crowded: jobs wait and say what for, or go to another encoder, and none fails.
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/digest/sha256.h"
#include "common/net/channel.h"
#include "common/net/server_runner.h"
#include "common/wire/conditioning_codec.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

using std::chrono::seconds;

const Arguments kSmall = {"--width", "64", "--height", "64", "--steps", "1", "--seed", "7"};
const Arguments kOneThread = {"--threads", "1"};

Address AddressOf(const std::string& text) {
  const size_t colon = text.rfind(':');
  return {text.substr(0, colon), static_cast<uint16_t>(std::stoi(text.substr(colon + 1)))};
}

// A process that is stopped keeps its connections and answers nothing.
TEST(EncoderTrouble, AStoppedEncoderIsWaitedForAndTheJobSaysSo) {
  const Scratch scratch;
  Daemon encoder = StartEncoder(ToyPath("toy_a"), kOneThread);
  Daemon renderer = StartRenderer(ToyPath("toy_a"), encoder.address(), scratch / "state", kOneThread);
  const User user(renderer.address());
  user.Fetch(user.Submit(kSmall, "before"));
  encoder.Signal(SIGSTOP);
  const std::string id = user.Submit(kSmall, "while it is stopped");
  Await(
      "the job says that it waits for the encoder",
      [&] {
        const nlohmann::json job = user.Job(id);
        EXPECT_NE(job["state"], "failed") << job;
        return job["state"] == "encoding" &&
               job["detail"].get<std::string>().find(encoder.address()) != std::string::npos;
      },
      seconds(60));
  encoder.Signal(SIGCONT);
  EXPECT_FALSE(user.Fetch(id).empty());
}

// A typing error in --encoder, or a start without it, costs no job that was accepted.
TEST(EncoderTrouble, JobsWaitWhereTheEncoderIsAnotherDaemonOrNone) {
  const Scratch scratch;
  const Daemon encoder = StartEncoder(ToyPath("toy_a"), kOneThread);
  const Daemon another = StartRenderer(ToyPath("toy_a"), encoder.address(), scratch / "another", kOneThread);
  std::string id;
  for (const std::string& wrong : {another.address(), std::string()}) {
    SCOPED_TRACE(wrong);
    Daemon renderer = StartRenderer(ToyPath("toy_a"), wrong, scratch / "state", kOneThread);
    const User user(renderer.address());
    if (id.empty()) id = user.Submit(kSmall);
    const std::string why = wrong.empty() ? "has no encoder" : "does not offer this service";
    Await(
        "the job says what it waits for",
        [&] {
          const nlohmann::json job = user.Job(id);
          EXPECT_NE(job["state"], "failed") << job;
          return job["detail"].get<std::string>().find(why) != std::string::npos;
        },
        seconds(60));
    EXPECT_EQ(renderer.Stop(), 0);
  }
  const Daemon renderer = StartRenderer(ToyPath("toy_a"), encoder.address(), scratch / "state", kOneThread);
  EXPECT_FALSE(User(renderer.address()).Fetch(id).empty());
}

TEST(EncoderTrouble, WhileOneIsStoppedAnotherDoesItsWork) {
  const Scratch scratch;
  Daemon first = StartEncoder(ToyPath("toy_a"), kOneThread);
  Daemon second = StartEncoder(ToyPath("toy_a"), kOneThread);
  Daemon renderer = StartRenderer(ToyPath("toy_a"), first.address(), scratch / "state",
                                  kOneThread + Arguments{"--encoder", second.address()});
  const User user(renderer.address());
  first.Signal(SIGSTOP);
  const std::string id = user.Submit(kSmall);
  Await(
      "the job is done without the first encoder", [&] { return user.Job(id)["state"] == "done"; }, seconds(90));
  first.Signal(SIGCONT);
}

int64_t StatusNumber(int pid, const std::string& name) {
  std::ifstream lines("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stoll(line.substr(name.size() + 1));
  }
  return -1;
}

// Somebody who sends long prompts straight to the encoder, each under another name.
TEST(EncoderTrouble, ACrowdAtTheEncoderFailsNoJobAndTakesLittle) {
  const Scratch scratch;
  Daemon encoder = StartEncoder(DemoModelPath(), kOneThread);
  Daemon renderer = StartRenderer(DemoModelPath(), encoder.address(), scratch / "state",
                                  kOneThread + Arguments{"--encode-timeout", "5"});
  const User user(renderer.address());
  user.Fetch(user.Submit(kSmall, "a red circle"));
  const int64_t idle_kb = StatusNumber(encoder.pid(), "VmRSS");

  const auto stub = v1::Encoder::NewStub(MakeChannel(AddressOf(encoder.address())));
  std::vector<grpc::ClientContext> contexts(200);
  std::vector<std::unique_ptr<grpc::ClientReader<v1::EncodeResponse>>> crowd;
  for (size_t i = 0; i < contexts.size(); ++i) {
    v1::EncodeRequest request;
    for (int k = 0; k < 13'000; ++k) *request.mutable_prompt()->mutable_user() += "ab ";
    request.set_client("name " + std::to_string(i));
    crowd.push_back(stub->Encode(&contexts[i], request));
  }
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(user.Submit(kSmall, "a blue square " + std::to_string(i)));
  for (const std::string& id : ids) {
    Await(
        "an honest job", [&] { return user.Job(id)["state"] == "done" || user.Job(id)["state"] == "failed"; },
        seconds(90));
    EXPECT_EQ(user.Job(id)["state"], "done") << user.Job(id);
  }
  EXPECT_LT(StatusNumber(encoder.pid(), "Threads"), 200);
  EXPECT_LT(StatusNumber(encoder.pid(), "VmRSS") - idle_kb, 300 * 1024);
  for (grpc::ClientContext& context : contexts) context.TryCancel();
  for (const auto& reader : crowd) reader->Finish();
  const int64_t after = StatusNumber(encoder.pid(), "Threads");
  Await("the threads of who has left", [&] { return StatusNumber(encoder.pid(), "Threads") < 60; });
  EXPECT_LE(after, 200);
}

// Answers every prompt with the text and rows of another one, all hashes right.
class Liar final : public v1::Encoder::Service {
 public:
  explicit Liar(v1::DescribeEncoderResponse honest) : honest_(std::move(honest)) {}
  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeEncoderRequest*,
                        v1::DescribeEncoderResponse* response) override {
    *response = honest_;
    return grpc::Status::OK;
  }
  grpc::Status Encode(grpc::ServerContext*, const v1::EncodeRequest*,
                      grpc::ServerWriter<v1::EncodeResponse>* writer) override {
    const std::string text = "<|im_start|>user\na red circle<|im_end|>\n<|im_start|>assistant\n";
    Conditioning block;
    block.header = {.model_fingerprint = honest_.model_fingerprint(),
                    .tokenizer_fingerprint = honest_.tokenizer_fingerprint(),
                    .input_sha256 = Sha256Hex(text),
                    .token_count = 16,
                    .layer = -2,
                    .rows = 16,
                    .width = honest_.width()};
    block.bytes.assign(static_cast<size_t>(block.header.ByteCount()), 1);
    v1::EncodeResponse response;
    response.mutable_info()->set_formatted_text(text);
    writer->Write(response);
    const absl::Status sent = SendConditioning(block, [&](const v1::ConditioningFrame& frame) {
      *response.mutable_frame() = frame;
      return writer->Write(response);
    });
    return sent.ok() ? grpc::Status::OK : grpc::Status::CANCELLED;
  }

 private:
  const v1::DescribeEncoderResponse honest_;
};

TEST(EncoderTrouble, RowsOfAnotherPromptAreTakenFromNobodyAndKeptForNobody) {
  const Scratch scratch;
  Daemon encoder = StartEncoder(DemoModelPath(), kOneThread);
  v1::DescribeEncoderResponse honest;
  {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    ASSERT_TRUE(v1::Encoder::NewStub(MakeChannel(AddressOf(encoder.address())))->Describe(&context, {}, &honest).ok());
  }
  Liar liar(honest);
  const auto runner = *ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &liar}});
  std::string clean;
  {
    Daemon renderer = StartRenderer(DemoModelPath(), encoder.address(), scratch / "clean", kOneThread);
    const User user(renderer.address());
    clean = user.Fetch(user.Submit(kSmall, "a red circle"));
  }
  {  // alone it gives nothing
    Daemon renderer = StartRenderer(DemoModelPath(), runner->address().ToString(), scratch / "state", kOneThread);
    const User user(renderer.address());
    const std::string id = user.Submit(kSmall, "something harmless");
    Await(
        "the job fails", [&] { return user.Job(id)["state"] == "failed"; }, seconds(60));
    EXPECT_NE(user.Job(id)["error"].get<std::string>().find("it is of another text"), std::string::npos)
        << user.Job(id);
  }
  {  // beside an honest one it costs nothing
    Daemon renderer = StartRenderer(DemoModelPath(), runner->address().ToString(), scratch / "state",
                                    kOneThread + Arguments{"--encoder", encoder.address()});
    const User user(renderer.address());
    EXPECT_FALSE(user.Fetch(user.Submit(kSmall, "something harmless")).empty());
  }
  {  // and what it said then is not kept for the prompt that it was of
    Daemon renderer = StartRenderer(DemoModelPath(), encoder.address(), scratch / "state", kOneThread);
    const User user(renderer.address());
    EXPECT_TRUE(user.Fetch(user.Submit(kSmall, "a red circle")) == clean);
  }
}

}  // namespace
}  // namespace diptych::integration
