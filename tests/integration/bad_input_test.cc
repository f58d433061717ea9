// What users get wrong, against live daemons: a clear line, the exit status of the contract, and the next job works.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/image/png.h"
#include "common/net/channel.h"
#include "common/receipt/receipt.h"
#include "common/weights/safetensors_writer.h"
#include "coordinator/client/render_client.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "diptych/v1/render.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

// A renderer with its encoder, both of toy_a: 3 layers, rows of 32 values, sides up to 1024.
struct Studio {
  explicit Studio(const Arguments& encoder_flags = {"--threads", "1"})
      : encoder(StartEncoder(ToyPath("toy_a"), encoder_flags)),
        renderer(StartRenderer(ToyPath("toy_a"), encoder.address(), scratch / "state", {"--threads", "1"})) {}

  Outcome Run(Arguments arguments) const {
    arguments.insert(arguments.end(), {"--render", renderer.address()});
    return Diptych(arguments);
  }

  // Both daemons live and the next good job is done.
  void ExpectStillWorks() {
    EXPECT_TRUE(encoder.IsRunning() && renderer.IsRunning());
    const Outcome good =
        Run({"generate", "A cat", "--width", "64", "--height", "64", "--steps", "1", "--output", scratch / "good.png"});
    EXPECT_EQ(good.status, 0) << good.err;
    EXPECT_TRUE(std::filesystem::exists(scratch / "good.png"));
  }

  Scratch scratch;
  Daemon encoder;
  Daemon renderer;
};

// One error line, the last thing said, that holds all of `pieces`; nothing on stdout. Progress may come before it.
void ExpectRefused(const Outcome& outcome, int status, const Arguments& pieces) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  const std::vector<std::string> lines = ErrorLines(outcome);
  ASSERT_EQ(lines.size(), 1u) << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with(lines[0] + "\n")) << outcome.err;
  for (const std::string& piece : pieces)
    EXPECT_NE(lines[0].find(piece), std::string::npos) << piece << " is not in: " << lines[0];
}

size_t LineCount(const std::string& text) { return static_cast<size_t>(std::count(text.begin(), text.end(), '\n')); }

TEST(BadInput, OnTheCommandLineIsWrongUsage) {
  struct Row {
    Arguments arguments;
    Arguments pieces;
  };
  const std::vector<Row> rows = {
      {{"generate", "x", "--width", "100"}, {"--width", "100", "multiple of 16", "96 and 112"}},
      {{"generate", "x", "--width", "0"}, {"--width", "0", "from 16 to 16384"}},
      {{"generate", "x", "--height", "-16"}, {"--height", "-16", "from 16 to 16384"}},
      {{"generate", "x", "--height", "1600000"}, {"--height", "1600000", "from 16 to 16384"}},
      {{"generate", "x", "--steps", "0"}, {"--steps", "0", "from 1 to 1000"}},
      {{"generate", "x", "--steps", "100000"}, {"--steps", "100000", "from 1 to 1000"}},
      {{"generate", "x", "--seed", "-1"}, {"--seed", "-1", "from 0 to 2^64 - 1", "leave it out for a random seed"}},
      {{"generate", "x", "--seed", "18446744073709551616"}, {"--seed", "18446744073709551616", "from 0 to 2^64 - 1"}},
      {{"generate", "x", "--seed", "lucky"}, {"--seed", "lucky", "from 0 to 2^64 - 1"}},
      {{"generate", "x", "--seed", "18446744073709551615", "--count", "2"}, {"18446744073709551615", "2", "2^64 - 1"}},
      {{"generate", "x", "--hidden-layer", "0"}, {"--hidden-layer", "0", "from -1000 to -1"}},
      {{"generate", "x", "--guidance-scale", "nan"}, {"--guidance-scale", "nan", "from 0 to 1000"}},
      {{"generate", "a \xFF cat"}, {"UTF-8", "prompt"}},
      {{"generate", "x", "--guidance-scale", "2", "--negative-prompt", "\xC3"}, {"UTF-8", "--negative-prompt"}},
      {{"generate", "x", "--negative-prompt", "\xC3"}, {"UTF-8", "--negative-prompt"}},
      {{"generate", "x", "--client", "J\xF6rg"}, {"UTF-8", "--client", "offset 1"}},
      {{"submit", "x", "--client", "J\xF6rg"}, {"UTF-8", "--client", "offset 1"}},
      {{"watch", "\xFF"}, {"UTF-8", "ID"}},
      {{"fetch", "\xFF"}, {"UTF-8", "ID"}},
      {{"cancel", "\xFF"}, {"UTF-8", "ID"}},
      {{"generate", "x", "--stpes", "4"}, {"--stpes", "did you mean --steps?"}},
      {{"generate", "a", "cat"}, {"cat", "quotes"}},
      {{"generate"}, {"PROMPT", "missing"}},
      {{"genrate", "x"}, {"genrate", "did you mean generate?"}},
      {{"watch"}, {"ID", "missing"}},
  };
  for (const Row& row : rows) {
    const Outcome outcome = Diptych(row.arguments, {{"DIPTYCH_RENDER", "127.0.0.1:1"}});
    SCOPED_TRACE(outcome.err);
    ExpectRefused(outcome, 2, row.pieces);
    EXPECT_EQ(LineCount(outcome.err), 1u);
  }
}

TEST(BadInput, ThatOnlyTheDaemonsCanJudgeFailsAloneAndNamesTheLimit) {
  Studio studio({"--prompt-byte-limit", "2000"});
  const Scratch& scratch = studio.scratch;
  const std::string picture = scratch / "never.png";
  WriteFile(scratch / "long.json",
            R"({"messages":[{"role":"user","content":")" + std::string(1 << 20, 'a') + R"("}]})");
  ExpectRefused(studio.Run({"generate", "x", "--width", "2048", "--output", picture}), 1,
                {"width 2048", "more than 1024"});
  ExpectRefused(studio.Run({"generate", "x", "--hidden-layer", "-5", "--output", picture}), 1,
                {"layer -5", "from -4 to -1"});
  ExpectRefused(studio.Run({"generate", std::string(2001, 'a'), "--output", picture}), 1,
                {"prompt has 2001 bytes", "the limit is 2000"});
  ExpectRefused(studio.Run({"generate", "--conversation", scratch / "long.json", "--output", picture}), 1,
                {"bytes", "the limit is 1048576"});
  for (const Arguments& command : {Arguments{"watch"}, Arguments{"cancel"}, Arguments{"fetch", "--output", picture}}) {
    Arguments arguments = command;
    arguments.insert(arguments.begin() + 1, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    ExpectRefused(studio.Run(arguments), 1, {"there is no job 01ARZ3NDEKTSV4RRFFQ69G5FAV"});
    arguments[1] = "nosuchjob";
    ExpectRefused(studio.Run(arguments), 1, {"there is no job nosuchjob"});
  }
  EXPECT_FALSE(std::filesystem::exists(picture));
  studio.ExpectStillWorks();
}

TEST(BadInput, AnEmptyPromptIsValid) {
  Studio studio;
  const Outcome outcome = studio.Run(
      {"generate", "", "--width", "64", "--height", "64", "--steps", "1", "--output", studio.scratch / "a.png"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

std::string Embeddings(const std::string& path, int64_t rows, int64_t width) {
  const std::vector<float> values(static_cast<size_t>(rows * width), 0.5f);
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  WriteSafetensors(path, {{{"embeddings", Dtype::F32, {rows, width}}, {bytes, values.size() * sizeof(float)}}});
  return path;
}

TEST(BadInput, EmbeddingsOfMoreRowsThanTheRendererTakesAreShortenedAndThatIsSaid) {
  Studio studio;
  const std::string file = Embeddings(studio.scratch / "long.safetensors", 300, 32);
  const Outcome outcome = studio.Run({"generate", "--load-embeddings", file, "--width", "64", "--height", "64",
                                      "--steps", "1", "--output", studio.scratch / "a.png"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("300"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("224"), std::string::npos) << outcome.err;
  const Outcome cut = studio.Run({"generate", "--load-embeddings", file, "--long-prompt-mode", "truncate", "--width",
                                  "64", "--height", "64", "--steps", "1", "--output", studio.scratch / "b.png"});
  EXPECT_EQ(cut.status, 0) << cut.err;
  EXPECT_NE(cut.err.find("truncated"), std::string::npos) << cut.err;
}

TEST(BadInput, ANameThatNoFileCanHaveIsNamedInFewWords) {
  const std::string name(300, 'a'), model = ToyPath("toy_a");
  for (const Arguments& arguments :
       {Arguments{"generate", "x", "--model-path", model, "--output", name + ".png"},
        Arguments{"generate", "x", "--model-path", model, "--save-embeddings", name},
        Arguments{"generate", "--model-path", model, "--load-embeddings", name},
        Arguments{"generate", "x", "--model-path", name}, Arguments{"tokens", "x", "--model-path", name}}) {
    const Outcome outcome = Diptych(arguments);
    ExpectRefused(outcome, 1, {name});
    EXPECT_EQ(outcome.err.find("filesystem error"), std::string::npos) << outcome.err;
  }
}

TEST(BadInput, ThatADaemonOfThisRunRefusesIsWrongUsage) {
  const Scratch scratch;
  ExpectRefused(Diptych({"generate", "x", "--model-path", ToyPath("toy_a"), "--tile-size", "64", "--tile-overlap", "40",
                         "--output", scratch / "a.png"}),
                2, {"--tile-overlap 40", "--tile-size 64"});
}

TEST(BadInput, InFilesIsRefusedWithTheNameOfTheFile) {
  Studio studio;
  const Scratch& scratch = studio.scratch;
  const auto generate = [&](const Arguments& more, const std::string& output) {
    Arguments arguments = {"generate", "--width", "64", "--height", "64", "--steps", "1", "--output", output};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return studio.Run(arguments);
  };
  const std::string out = scratch / "out.png";

  const std::string whole = ReadFile(Embeddings(scratch / "whole.safetensors", 3, 32));
  EXPECT_EQ(generate({"--load-embeddings", scratch / "whole.safetensors"}, out).status, 0);
  std::filesystem::remove(out);
  WriteFile(scratch / "cut.safetensors", whole.substr(0, whole.size() - 7));
  ExpectRefused(generate({"--load-embeddings", scratch / "cut.safetensors"}, out), 1, {"cut.safetensors"});
  ExpectRefused(generate({"--load-embeddings", Embeddings(scratch / "other.safetensors", 3, 48)}, out), 1,
                {"48", "32", "cap_feat_dim"});
  for (const char* flag : {"--load-embeddings", "--save-embeddings"}) {
    ExpectRefused(generate({flag, scratch / "states.pt"}, out), 2, {"states.pt", "pickle", ".safetensors"});
  }
  ExpectRefused(generate({"--load-embeddings", scratch / "nowhere.safetensors"}, out), 1, {"nowhere.safetensors"});

  WriteFile(scratch / "plain.png", EncodePng({.width = 1, .height = 1, .rgb = {1, 2, 3}}, {}));
  WriteFile(scratch / "text.png", "this is no picture");
  ExpectRefused(generate({"--from-picture", scratch / "plain.png"}, out), 1, {"plain.png", "receipt"});
  ExpectRefused(generate({"--from-picture", scratch / "text.png"}, out), 1, {"text.png", "PNG"});
  ExpectRefused(generate({"--from-picture", scratch / "nowhere.png"}, out), 1, {"nowhere.png"});

  WriteFile(scratch / "file", "");
  ExpectRefused(generate({"x"}, scratch / "file/out.png"), 1, {"file"});
  ExpectRefused(generate({"x"}, "/proc/out.png"), 1, {"/proc/out.png"});
  EXPECT_FALSE(std::filesystem::exists(out));
  studio.ExpectStillWorks();
}

// What no command of ours would send.
TEST(BadInput, SentToTheRendererByAnotherClientIsInvalidArgumentAndTheNextJobWorks) {
  Studio studio;
  const auto client = RenderClient::Make(studio.renderer.address(), {}, std::chrono::seconds(10));
  ASSERT_TRUE(client.ok());
  PictureRequest good;
  good.prompt.emplace().user = "A cat";
  good.width = good.height = 64;
  good.steps = 1;
  struct Row {
    std::function<void(PictureRequest&)> spoil;
    std::string piece;
  };
  const std::vector<Row> rows = {
      {[](PictureRequest& r) { r.width = 0; }, "width 0"},
      {[](PictureRequest& r) { r.height = 72; }, "height 72"},
      {[](PictureRequest& r) { r.width = std::numeric_limits<int32_t>::max(); }, "width 2147483647"},
      {[](PictureRequest& r) { r.steps = 0; }, "steps 0"},
      {[](PictureRequest& r) { r.steps = 100'000; }, "steps 100000"},
      {[](PictureRequest& r) { r.layer = 3; }, "layer 3"},
      {[](PictureRequest& r) { r.guidance_scale = std::numeric_limits<double>::infinity(); }, "guidance_scale"},
      {[](PictureRequest& r) { r.shift = -1; }, "shift"},
      {[](PictureRequest& r) { r.prompt->user = "a \xFF cat"; }, "UTF-8"},
      {[](PictureRequest& r) { r.prompt->user.assign((1 << 20) + 1, 'a'); }, "the limit is 1048576"},
      {[](PictureRequest& r) { r.prompt.reset(); }, "prompt"},
  };
  for (const Row& row : rows) {
    PictureRequest bad = good;
    row.spoil(bad);
    const absl::Status status = (*client)->Submit(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_NE(status.message().find(row.piece), std::string::npos) << row.piece << " is not in: " << status;
  }
  int jobs = 0;
  EXPECT_TRUE((*client)->ForEachJob({}, [&](const JobView&) { return ++jobs > 0; }).ok());
  EXPECT_EQ(jobs, 0);
  studio.ExpectStillWorks();
}

// From a stub without any check of ours in front.
TEST(BadInput, TextThatIsNotUtf8IsRefusedByBothDaemonsWithItsFieldAndOffset) {
  Studio studio;
  const auto encoder = v1::Encoder::NewStub(MakeChannel(*ParseAddress(studio.encoder.address())));
  const auto renderer = v1::Renderer::NewStub(MakeChannel(*ParseAddress(studio.renderer.address())));
  const auto encode = [&](const v1::Prompt& prompt) {
    grpc::ClientContext context;
    v1::EncodeRequest request;
    *request.mutable_prompt() = prompt;
    const auto reader = encoder->Encode(&context, request);
    v1::EncodeResponse response;
    EXPECT_FALSE(reader->Read(&response));
    return reader->Finish();
  };
  const auto submit = [&](const v1::JobSpec& spec) {
    grpc::ClientContext context;
    v1::SubmitResponse response;
    const auto writer = renderer->Submit(&context, &response);
    v1::SubmitRequest request;
    *request.mutable_spec() = spec;
    writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  };
  v1::JobSpec good;
  good.mutable_prompt();
  good.set_width(64);
  good.set_height(64);
  good.set_steps(1);
  const auto expect_refused = [](const grpc::Status& status, const std::string& field) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(status.error_message(),
              field + " is not valid UTF-8: byte 0xFF at offset 3 does not begin or complete a character");
  };

  const std::string bad = "abc\xFF";
  for (const char* field : {"user", "system", "thinking", "assistant", "conversation_json"}) {
    v1::Prompt prompt;
    prompt.GetReflection()->SetString(&prompt, prompt.GetDescriptor()->FindFieldByName(field), bad);
    expect_refused(encode(prompt), std::string("prompt.") + field);
    v1::JobSpec spec = good;
    *spec.mutable_prompt() = prompt;
    expect_refused(submit(spec), std::string("prompt.") + field);
    spec = good;
    *spec.mutable_negative() = prompt;
    expect_refused(submit(spec), std::string("negative.") + field);
  }
  v1::JobSpec spec = good;
  spec.set_client(bad);
  expect_refused(submit(spec), "client");
  studio.ExpectStillWorks();
}

// Text is shown as text wherever a user sees it; protobuf's own JSON would show base64.
TEST(BadInput, ButEveryOtherTextComesBackAsItWasWritten) {
  Studio studio;
  const std::string prompt = "a cat, \xE7\x8C\xAB \"two\"";
  const std::string picture = studio.scratch / "cat.png";
  const Outcome made = studio.Run({"generate", prompt, "--client", "J\xC3\xB6rg", "--width", "64", "--height", "64",
                                   "--steps", "1", "--output", picture, "--json"});
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(FindReceipt(ReadPngText(ReadFile(picture))).prompt->user, prompt);
  const nlohmann::json jobs = nlohmann::json::parse(studio.Run({"jobs", "--json"}).out);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0]["prompt"], prompt);
  EXPECT_EQ(jobs[0]["client"], "J\xC3\xB6rg");
  EXPECT_NE(studio.Run({"jobs"}).out.find("J\xC3\xB6rg"), std::string::npos);
  // The row of the job store, in its log that SQLite writes ahead or in the database.
  const std::string stored = ReadFile(studio.scratch / "state/jobs.sqlite-wal");
  EXPECT_NE(stored.find("a cat, \xE7\x8C\xAB"), std::string::npos);
}

TEST(BadInput, AnUnreachableRendererFailsAndNamesItsAddress) {
  const std::string nobody = FreeAddress();
  for (const Arguments& command :
       {Arguments{"generate", "x", "--output", "/tmp/never.png"}, Arguments{"submit", "x"}, Arguments{"jobs"}}) {
    Arguments arguments = command;
    arguments.insert(arguments.end(), {"--render", nobody});
    const Outcome outcome = Diptych(arguments);
    ExpectRefused(outcome, 1, {nobody, "not available"});
    EXPECT_EQ(LineCount(outcome.err), 1u);
  }
}

// One renderer, and at its encoder's address first nobody, then another model, then the right one.
TEST(BadInput, AnEncoderThatIsUnreachableOrOfAnotherModelFailsTheJobAlone) {
  const Scratch scratch;
  const std::string address = FreeAddress();
  Daemon renderer =
      StartRenderer(ToyPath("toy_a"), address, scratch / "state", {"--threads", "1", "--encoder-patience", "12"});
  const auto generate = [&] {
    return Diptych({"generate", "x", "--width", "64", "--height", "64", "--steps", "1", "--render", renderer.address(),
                    "--output", scratch / "out.png"});
  };
  ExpectRefused(generate(), 1, {"encoder " + address});
  const Outcome jobs = Diptych({"jobs", "--json", "--render", renderer.address()});
  EXPECT_NE(jobs.out.find(R"("error_code":"UNAVAILABLE")"), std::string::npos) << jobs.out;
  {
    Daemon other = StartEncoder(ToyPath("toy_b"), {}, address);
    ExpectRefused(generate(), 1, {"48", "32", address});
    // A renderer that finds it at its start does not start.
    const Outcome second =
        RunDaemon("diptych-renderd", {"--model-path", ToyPath("toy_a"), "--encoder", address, "--state-dir",
                                      scratch / "second", "--listen", "127.0.0.1:0", "--log-level", "error"});
    EXPECT_EQ(second.status, 1);
    EXPECT_EQ(LineCount(second.err), 1u) << second.err;
    for (const char* piece : {"48", "32", "cap_feat_dim"})
      EXPECT_NE(second.err.find(piece), std::string::npos) << second.err;
    EXPECT_EQ(other.Stop(), 0);
  }
  Daemon encoder = StartEncoder(ToyPath("toy_a"), {}, address);
  const Outcome good = generate();
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_TRUE(renderer.IsRunning());
}

TEST(BadInput, ATextEncoderOfAnotherModelInThePrivateFormIsRefusedNamingBothWidths) {
  const Scratch scratch;
  const Outcome outcome = Diptych({"generate", "x", "--model-path", ToyPath("toy_a"), "--text-encoder-path",
                                   ToyPath("toy_b") + "/text_encoder", "--output", scratch / "out.png"});
  ExpectRefused(outcome, 1, {"48", "32", "cap_feat_dim"});
}

}  // namespace
}  // namespace diptych::integration
