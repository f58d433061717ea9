// One checkpoint, prompt and seed: the same PNG bytes, whichever way the picture is made.
#include <filesystem>
#include <string>
#include <vector>

#include "common/image/png.h"
#include "common/receipt/receipt.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// One that the formatter, the tokenizer and the receipt all have to carry faithfully.
const std::string kPrompt = "  A cat,   \"asleep\" in the sun \xE7\x8C\xAB\xE5\x92\xAA \xF0\x9F\x90\xB1\n";
const Arguments kNumbers = {"--seed", "42", "--width", "80", "--height", "64", "--steps", "4"};
const Arguments kParts = {"--system-prompt", "Paint what is said.", "--thinking-content", "a cat, so fur"};
const Arguments kGuided = {"--guidance-scale", "3", "--negative-prompt", "blurry, a dog"};

// What every way has in common besides the words.
struct Setting {
  std::string toy;
  std::string encoder_dtype;
  std::string threads;  // of each model; 0: one for each physical core
};

std::string Monolith(const Scratch& scratch, const Setting& setting, const Arguments& flags) {
  const std::string file = scratch / "monolith.png";
  Process process(Arguments{DIPTYCH_BINARY_DIR "/tests/diptych-monolith", "--model-path", ToyPath(setting.toy),
                            "--torch-dtype", setting.encoder_dtype, "--threads", setting.threads, "--prompt", kPrompt,
                            "--output", file} +
                  kNumbers + flags);
  const Outcome outcome = Finish(process);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return ReadFile(file);
}

// `diptych generate` with these arguments; the bytes of the PNG.
std::string Generate(const Scratch& scratch, const Arguments& arguments) {
  const std::string file = scratch / "picture.png";
  std::filesystem::remove(file);
  const Outcome outcome = Diptych(Arguments{"generate"} + arguments + Arguments{"--output", file});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err.find("is not of what was asked for"), std::string::npos) << outcome.err;
  return ReadFile(file);
}

void SaveEmbeddings(const Arguments& arguments) {
  const Outcome outcome = Diptych(Arguments{"generate", kPrompt} + arguments);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

// EXPECT_EQ would print the bytes.
void ExpectSame(const std::string& what, const std::string& png, const std::string& wanted) {
  if (png == wanted) return;
  ADD_FAILURE() << what << ": the PNG differs from the monolith's; receipts\n"
                << ToJson(FindReceipt(ReadPngText(png))) << "\n"
                << ToJson(FindReceipt(ReadPngText(wanted)));
}

void CheckEveryWay(const Setting& setting) {
  const Scratch scratch;
  const std::string model = ToyPath(setting.toy), state = scratch / "state", embeddings = scratch / "cat.safetensors",
                    both = scratch / "cat_and_negative.safetensors";
  const std::string wanted = Monolith(scratch, setting, kParts);
  const std::string wanted_guided = Monolith(scratch, setting, kGuided);
  ASSERT_TRUE(wanted != wanted_guided);
  // In the private form one flag speaks to both daemons; a CPU renderer computes in float32 anyway.
  const Arguments threads = {"--threads", setting.threads};
  const Arguments dtype = setting.encoder_dtype == "float32" ? Arguments{"--torch-dtype", "float32"} : Arguments{};
  const Arguments privately = Arguments{"--model-path", model} + dtype + threads;

  for (int start = 1; start <= 2; ++start) {
    SCOPED_TRACE("start " + std::to_string(start) + " of both daemons");
    Daemon encoder = StartEncoder(model, threads + Arguments{"--torch-dtype", setting.encoder_dtype});
    Daemon renderer = StartRenderer(model, encoder.address(), state, threads);
    const Arguments render = {"--render", renderer.address()};
    ExpectSame("two daemons", Generate(scratch, Arguments{kPrompt} + render + kNumbers + kParts), wanted);
    ExpectSame("two daemons, guided", Generate(scratch, Arguments{kPrompt} + render + kNumbers + kGuided),
               wanted_guided);
    if (start == 1) {
      for (const std::string& png : {wanted, wanted_guided}) {
        WriteFile(scratch / "made.png", png);
        ExpectSame("from its receipt", Generate(scratch, render + Arguments{"--from-picture", scratch / "made.png"}),
                   png);
      }
      SaveEmbeddings(privately + Arguments{"--save-embeddings", embeddings} + kParts);
      SaveEmbeddings(privately + Arguments{"--save-embeddings", both} + kGuided);
      ExpectSame("saved embeddings", Generate(scratch, render + Arguments{"--load-embeddings", embeddings} + kNumbers),
                 wanted);
      ExpectSame("saved embeddings, guided",
                 Generate(scratch, render + Arguments{"--load-embeddings", both, "--guidance-scale", "3"} + kNumbers),
                 wanted_guided);
    }
    EXPECT_EQ(renderer.Stop(), 0);
    EXPECT_EQ(encoder.Stop(), 0);
  }
  ExpectSame("private daemons", Generate(scratch, Arguments{kPrompt} + privately + kNumbers + kParts), wanted);
  ExpectSame("private renderer, saved embeddings",
             Generate(scratch, privately + Arguments{"--load-embeddings", embeddings} + kNumbers), wanted);
}

TEST(OnePicture, WarnsWhenSavedEmbeddingsHoldFewerRowsThanThePromptHasTokens) {
  const Scratch scratch;
  std::string prompt;
  for (int i = 0; i < 2000; ++i) prompt += "cat ";
  const Outcome saved = Diptych({"generate", prompt, "--model-path", ToyPath("toy_a"), "--save-embeddings",
                                 scratch / "long.safetensors", "--long-prompt-mode", "truncate"});
  EXPECT_EQ(saved.status, 0) << saved.err;
  EXPECT_NE(saved.err.find("diptych: warning: the prompt was truncated: "), std::string::npos) << saved.err;
}

TEST(OnePicture, HasStandardOutputForItself) {
  const Scratch scratch;
  Process process({"/bin/sh", "-c", "\"$0\" \"$@\" --json --output /dev/stdout | cat >" + (scratch / "cat.png"),
                   ProgramPath("diptych"), "generate", "a cat", "--model-path", ToyPath("toy_a"), "--width", "64",
                   "--height", "64", "--steps", "1"});
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_NE(process.Err().find("{\"state\":\"done\""), std::string::npos) << process.Err();
  const std::string png = ReadFile(scratch / "cat.png");
  EXPECT_NO_THROW(FindReceipt(ReadPngText(png)));
  EXPECT_EQ(png.substr(png.size() - 8, 4), "IEND");  // and nothing behind it
}

TEST(OnePicture, IsPaintedAlsoWhenNobodyGaveStandardStreams) {
  const Scratch scratch;
  Process process({"/bin/sh", "-c", "exec \"$0\" \"$@\" 0<&- 1>&- 2>&-", ProgramPath("diptych"), "generate", "a cat",
                   "--model-path", ToyPath("toy_a"), "--width", "64", "--height", "64", "--steps", "1", "--output",
                   scratch / "cat.png"});
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_NO_THROW(FindReceipt(ReadPngText(ReadFile(scratch / "cat.png"))));
}

// A picture that begins as another one, whole, behind a mask, and as a part that is put back: the same by every way.
TEST(OnePicture, BegunAsAnotherOneIsTheSameBytesByEveryWay) {
  const Scratch scratch;
  const std::string source = scratch / "source.png", mask = scratch / "mask.png", state = scratch / "state";
  Picture gradient{100, 76, {}}, half{100, 76, {}};
  for (int y = 0; y < 76; ++y) {
    for (int x = 0; x < 100; ++x) {
      gradient.rgb.insert(gradient.rgb.end(), {static_cast<uint8_t>(2 * x), static_cast<uint8_t>(3 * y), 90});
      half.rgb.insert(half.rgb.end(), 3, x > 50 && y > 30 ? 255 : 0);
    }
  }
  WriteFile(source, EncodePng(gradient, {}));
  WriteFile(mask, EncodePng(half, {}));
  const Setting setting{"toy_a", "float32", "0"};
  const Arguments privately = {"--model-path", ToyPath("toy_a"), "--torch-dtype", "float32"};
  Daemon encoder = StartEncoder(ToyPath("toy_a"), {"--torch-dtype", "float32"});
  Daemon renderer = StartRenderer(ToyPath("toy_a"), encoder.address(), state, {});
  const Arguments render = {"--render", renderer.address()};
  struct Way {
    Arguments flags, files;  // of a new picture; what a repeat needs beside the picture
  };
  const std::vector<Way> ways = {
      {{"--img2img", source, "--strength", "0.6"}, {"--img2img", source}},
      {{"--img2img", source, "--strength", "0"}, {"--img2img", source}},
      {Arguments{"--img2img", source, "--strength", "0.3"} + kGuided, {"--img2img", source}},
      {{"--img2img", source, "--mask", mask}, {"--inpaint", source, "--mask", mask}},
      {{"--img2img", source, "--mask", mask, "--inpaint-crop", "8"}, {"--inpaint", source, "--mask", mask}},
  };
  std::vector<std::string> pictures;
  for (const Way& way : ways) {
    SCOPED_TRACE(way.flags[2] + " " + way.flags[3]);
    const std::string wanted = Monolith(scratch, setting, way.flags);
    ExpectSame("two daemons", Generate(scratch, Arguments{kPrompt} + render + kNumbers + way.flags), wanted);
    ExpectSame("private daemons", Generate(scratch, Arguments{kPrompt} + privately + kNumbers + way.flags), wanted);
    WriteFile(scratch / "made.png", wanted);
    ExpectSame("from its receipt",
               Generate(scratch, render + Arguments{"--from-picture", scratch / "made.png"} + way.files), wanted);
    for (const std::string& other : pictures) EXPECT_TRUE(other != wanted);
    pictures.push_back(wanted);
  }
  const Picture whole = DecodePng(pictures.back()).picture;
  EXPECT_EQ(whole.width, 100) << "a part that is put back: the source's size";
  EXPECT_EQ(whole.rgb[0], gradient.rgb[0]) << "outside the mask nothing is touched";
  const Outcome without = Diptych(
      Arguments{"generate", "--from-picture", scratch / "made.png", "--output", scratch / "again.png"} + render);
  EXPECT_EQ(without.status, 2) << without.err;
  EXPECT_NE(without.err.find("the picture was made from another file, its source (SHA-256 "), std::string::npos)
      << without.err;
}

TEST(OnePicture, IsTheSameBytesByEveryWayWithAFloat32Encoder) { CheckEveryWay({"toy_a", "float32", "0"}); }

TEST(OnePicture, IsTheSameBytesByEveryWayFromShardsInBFloat16) { CheckEveryWay({"toy_b", "float32", "0"}); }

TEST(OnePicture, IsTheSameBytesByEveryWayWithABFloat16Encoder) { CheckEveryWay({"toy_a", "bfloat16", "1"}); }

}  // namespace
}  // namespace diptych::integration
