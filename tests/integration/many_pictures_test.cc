// Prompt files and seed lists with the real programs: every picture comes out, whatever the queue holds.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/image/png.h"
#include "common/receipt/receipt.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

using nlohmann::json;

class ManyPictures : public testing::Test {
 protected:
  // A renderer with these flags, and its encoder.
  void Start(const Arguments& flags = {}) {
    encoder_.emplace(StartEncoder(ToyPath("toy_a"), {"--threads", "1"}));
    Arguments more = {"--threads", "1"};
    more.insert(more.end(), flags.begin(), flags.end());
    renderer_.emplace(StartRenderer(ToyPath("toy_a"), encoder_->address(), scratch_ / "state", more));
  }

  Outcome Run(const Arguments& arguments) const {
    Arguments all = arguments;
    all.insert(all.end(), {"--prompts", scratch_ / "prompts.jsonl", "--render", renderer_->address(), "--width", "64",
                           "--height", "64", "--steps", "2", "--json"});
    return Diptych(all);
  }

  Receipt ReceiptOf(const std::string& name) const { return FindReceipt(ReadPngText(ReadFile(scratch_ / name))); }

  Scratch scratch_;
  std::optional<Daemon> encoder_, renderer_;
};

TEST_F(ManyPictures, OfAPromptFileAreWhatTheirLinesSay) {
  Start();
  const json own_size = {{"prompt", "A dog"}, {"width", 96}, {"height", 32}, {"seeds", "7,20-21"}};
  const json own_output = {{"prompt", "A bird"}, {"seed", 3}, {"output", scratch_ / "new/bird.png"}};
  WriteFile(scratch_ / "prompts.jsonl", "A cat\r\n\n" + own_size.dump() + "\n" + own_output.dump());
  const Outcome outcome = Run({"generate", "--seed", "5", "--output", scratch_ / "p.png"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const std::vector<json> pictures = ParseLines(outcome.out);

  struct Row {
    const char *name, *prompt;
    int width, height;
    uint64_t seed;
  };
  const std::vector<Row> rows = {{"p-1.png", "A cat", 64, 64, 5},
                                 {"p-2.png", "A dog", 96, 32, 7},
                                 {"p-3.png", "A dog", 96, 32, 20},
                                 {"p-4.png", "A dog", 96, 32, 21},
                                 {"new/bird.png", "A bird", 64, 64, 3}};
  ASSERT_EQ(pictures.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(rows[i].name);
    EXPECT_EQ(pictures[i]["path"], scratch_ / rows[i].name);
    EXPECT_EQ(pictures[i]["prompt"], rows[i].prompt);
    EXPECT_EQ(pictures[i]["seed"], rows[i].seed);
    const Receipt receipt = ReceiptOf(rows[i].name);
    EXPECT_EQ(receipt.prompt->user, rows[i].prompt);
    EXPECT_EQ(receipt.seed, rows[i].seed);
    EXPECT_EQ(receipt.width, rows[i].width);
    EXPECT_EQ(receipt.height, rows[i].height);
    EXPECT_EQ(receipt.steps, 2);
  }

  // A picture of a file is the picture of its prompt.
  const Outcome alone = Diptych({"generate", "A dog", "--render", renderer_->address(), "--width", "96", "--height",
                                 "32", "--steps", "2", "--seed", "20", "--output", scratch_ / "alone.png"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  EXPECT_TRUE(ReadFile(scratch_ / "alone.png") == ReadFile(scratch_ / "p-3.png"));
}

TEST_F(ManyPictures, AllComeThroughAQueueThatHoldsFewer) {
  Start({"--client-queue-limit", "2", "--encode-ahead", "1"});
  std::string prompts;
  for (int i = 1; i <= 6; ++i) prompts += "Cat number " + std::to_string(i) + "\n";
  WriteFile(scratch_ / "prompts.jsonl", prompts);
  // Somebody else's picture is painted meanwhile, long enough for the queue to fill.
  const auto occupy = [&] {
    const Outcome other = Diptych({"submit", "Slow", "--client", "other", "--width", "256", "--height", "256",
                                   "--steps", "40", "--render", renderer_->address()});
    ASSERT_EQ(other.status, 0) << other.err;
  };
  occupy();
  const Outcome generated = Run({"generate", "--seed", "5", "--output", scratch_ / "p.png"});
  ASSERT_EQ(generated.status, 0) << generated.err;
  for (int i = 1; i <= 6; ++i) {
    EXPECT_EQ(ReceiptOf("p-" + std::to_string(i) + ".png").prompt->user, "Cat number " + std::to_string(i));
  }
  EXPECT_NE(generated.err.find("picture 6 of 6: "), std::string::npos) << generated.err;

  occupy();
  const Outcome submitted = Run({"submit", "--seed", "5"});
  ASSERT_EQ(submitted.status, 0) << submitted.err;
  EXPECT_EQ(json::parse(submitted.out).size(), 6u);
  EXPECT_NE(submitted.err.find("diptych: waiting for room: client "), std::string::npos) << submitted.err;
}

TEST_F(ManyPictures, OneThatIsRefusedFailsAlone) {
  Start();
  const json bad = {{"prompt", "A dog"}, {"hidden_layer", -999}};  // the toy has not so many: the encoder refuses it
  WriteFile(scratch_ / "prompts.jsonl", "A cat\n" + bad.dump() + "\nA bird\n");
  const Outcome outcome = Run({"generate", "--output", scratch_ / "p.png"});
  EXPECT_EQ(outcome.status, 1);
  const std::vector<json> pictures = ParseLines(outcome.out);
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_EQ(pictures[1]["prompt"], "A dog");
  EXPECT_NE(pictures[1]["error"]["message"].get<std::string>().find("layer"), std::string::npos) << pictures[1];
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "p-2.png"));
  EXPECT_EQ(ReceiptOf("p-1.png").prompt->user, "A cat");
  EXPECT_EQ(ReceiptOf("p-3.png").prompt->user, "A bird");
  ASSERT_EQ(ErrorLines(outcome).size(), 1u);
  EXPECT_EQ(ErrorLines(outcome)[0].rfind("1 of 3 pictures failed; the first: ", 0), 0u) << outcome.err;
}

TEST_F(ManyPictures, AreNotBegunWhenALineIsWrong) {
  Start();
  const std::string file = scratch_ / "prompts.jsonl";
  WriteFile(file, "A cat\n{\"prompt\": \"A dog\", \"steps\": 0}\n");
  const Outcome outcome = Run({"generate", "--output", scratch_ / "p.png"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(ErrorLines(outcome), Arguments{file + ":2: steps: 0 must be a whole number from 1 to 1000"});
  const Outcome jobs = Diptych({"jobs", "--render", renderer_->address(), "--json"});
  EXPECT_EQ(json::parse(jobs.out), json::array());
}

}  // namespace
}  // namespace diptych::integration
