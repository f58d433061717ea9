#include "coordinator/order/prompt_file.h"

#include <stdlib.h>

#include <optional>
#include <variant>

#include "common/config/options.h"
#include "coordinator/order/seed_list.h"
#include "coordinator/order/wrong_wish.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::vector<std::string> PromptsOf(const std::string& text) {
  std::vector<std::string> prompts;
  for (const PromptLine& line : ParsePromptFile(text, "f")) prompts.push_back(line.prompt);
  return prompts;
}

std::string RefusalOf(const std::string& text) {
  try {
    ParsePromptFile(text, "f");
  } catch (const WrongWish& error) {
    return error.what();
  }
  return "none";
}

// The value of the first line's only key.
template <typename T>
T ValueOf(const std::string& member) {
  const PromptLine line = ParsePromptFile("{\"prompt\": \"p\", " + member + "}", "f")[0];
  return std::get<T>(line.values.at(0).second.value());
}

using Prompts = std::vector<std::string>;

TEST(PromptFile, TakesEveryLineAsItStands) {
  EXPECT_EQ(PromptsOf("a cat\n a  \"dog\" \\n\ttoo \nJ\xC3\xB6rg {x}"),
            (Prompts{"a cat", " a  \"dog\" \\n\ttoo ", "J\xC3\xB6rg {x}"}));
}

TEST(PromptFile, DoesNotCountLineEndsBlankLinesAndAByteOrderMark) {
  EXPECT_EQ(PromptsOf("\xEF\xBB\xBF"
                      "a cat\r\n\r\n  \t\r\na dog\r\n\n"),
            (Prompts{"a cat", "a dog"}));
  EXPECT_EQ(PromptsOf("a\rb\n"), Prompts{"a\rb"});
  EXPECT_EQ(PromptsOf("a\r\rb\r"), (Prompts{"a", "b"}));
}

TEST(PromptFile, KnowsThePlaceOfEveryPrompt) {
  const std::vector<PromptLine> lines = ParsePromptFile("\na\n\n{\"prompt\": \"b\"}\n", "some.jsonl");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].place, "some.jsonl:2");
  EXPECT_EQ(lines[1].place, "some.jsonl:4");
}

TEST(PromptFile, TakesTheHomeFolderForATildeInAnOutput) {
  setenv("HOME", "/home/somebody", 1);
  EXPECT_EQ(ValueOf<options::TextList>("\"output\": \"~/a.png\""), options::TextList{"/home/somebody/a.png"});
  EXPECT_EQ(ValueOf<options::TextList>("\"output\": [\"a.png\", \"~/b.png\"]"),
            (options::TextList{"a.png", "/home/somebody/b.png"}));
}

TEST(PromptFile, TakesASizeForBothSides) {
  const PromptLine line = ParsePromptFile(R"({"prompt": "p", "size": "64x96"})", "f")[0];
  ASSERT_EQ(line.values.size(), 2u);
  EXPECT_EQ(line.values[0], (Settings::Change{&options::kWidth.info, std::optional<int64_t>{64}}));
  EXPECT_EQ(line.values[1], (Settings::Change{&options::kHeight.info, std::optional<int64_t>{96}}));
  EXPECT_EQ(RefusalOf(R"({"prompt": "p", "height": 64, "size": "64x96"})"),
            "f:1: \"size\" says again what another key of the line says");
  EXPECT_EQ(RefusalOf(R"({"prompt": "p", "size": 64})"), "f:1: size: 64 must be a text");
}

TEST(PromptFile, ReadsAnObjectBehindBlanks) {
  EXPECT_EQ(PromptsOf(" \t{\"prompt\": \"a \\\"cat\\\"\\n\"}"), Prompts{"a \"cat\"\n"});
  EXPECT_EQ(PromptsOf("{\"prompt\": \"\"}"), Prompts{""});
}

TEST(PromptFile, ReadsValuesAsTheFlagsOfThatName) {
  EXPECT_EQ(ValueOf<std::optional<int64_t>>("\"width\": 64"), 64);
  EXPECT_EQ(ValueOf<std::optional<double>>("\"guidance_scale\": 2"), 2.0);
  EXPECT_EQ(ValueOf<std::optional<double>>("\"guidance_scale\": 0.1"), 0.1);
  EXPECT_EQ(ValueOf<std::optional<double>>("\"shift\": 2.5"), 2.5);
  EXPECT_EQ(ValueOf<std::optional<uint64_t>>("\"seed\": 18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(ValueOf<std::string>("\"system\": \"s\""), "s");
  EXPECT_EQ(ValueOf<std::string>("\"system_prompt\": \"s\""), "s");
  EXPECT_EQ(ValueOf<std::string>("\"negative_prompt\": \"\""), "");
  EXPECT_EQ(ValueOf<bool>("\"enable_thinking\": true"), true);
  EXPECT_EQ(ValueOf<options::TextList>("\"output\": \"a,b.png\""), options::TextList{"a,b.png"});
  EXPECT_EQ(ValueOf<options::TextList>("\"output\": [\"a\", \"b\"]"), (options::TextList{"a", "b"}));
  for (const char* seeds : {"\"7,9-10\"", "[7, \"9-10\"]", "[7, 9, 10]"}) {
    EXPECT_EQ(ParseSeeds(ValueOf<std::string>(std::string("\"seeds\": ") + seeds)), (std::vector<uint64_t>{7, 9, 10}));
  }
  EXPECT_EQ(ValueOf<std::string>("\"seeds\": 7"), "7");
}

TEST(PromptFile, SaysInWhichLineItIsWrong) {
  EXPECT_EQ(RefusalOf("a\nb\xFF\n"),
            "f:2: the line is not valid UTF-8: byte 0xFF at offset 1 does not begin or complete a character");
  EXPECT_EQ(RefusalOf("a\n\n{\"prompt\": }"),
            "f:3: the JSON object: not valid JSON: wrong at byte 12; a JSON object stands whole on one line, and a "
            "prompt that "
            "begins with \"{\" is written {\"prompt\": \"{\\\"prompt\\\": }\"}");
  for (const auto& [text, reason] :
       {std::pair("{\"prompt\": \"a\"} {}", "f:1: the JSON object: not valid JSON: wrong at byte 17; "),
        std::pair("{\n\"prompt\": \"a\"}", "f:1: the JSON object: not valid JSON: it ends too early; "),
        std::pair("{\"prompt\": \"a\", \"prompt\": \"b\"}", "f:1: the JSON object: key \"prompt\" appears twice; "),
        std::pair("{\"prompt\": [[1]]}", "f:1: the JSON object: nested deeper than 2 levels; "),
        std::pair("{\"width\": 64}", "f:1: the JSON object has no key \"prompt\"; ")}) {
    EXPECT_EQ(RefusalOf(text).rfind(std::string(reason) + "a JSON object stands whole on one line, ", 0), 0u)
        << RefusalOf(text);
  }
  EXPECT_EQ(RefusalOf("{\"prompt\": 7}"), "f:1: prompt: 7 must be a text");
}

TEST(PromptFile, NamesTheKeyThatWasProbablyMeant) {
  const auto refusal = [](const std::string& key) { return RefusalOf("{\"prompt\": \"a\", \"" + key + "\": 1}"); };
  EXPECT_EQ(refusal("widht"), "f:1: unknown key \"widht\"; did you mean \"width\"?");
  EXPECT_EQ(refusal("guidance-scale"), "f:1: unknown key \"guidance-scale\"; did you mean \"guidance_scale\"?");
  EXPECT_EQ(refusal("num_inference_steps"), "f:1: unknown key \"num_inference_steps\"; did you mean \"steps\"?");
  const std::string far = refusal("frobnicate");
  EXPECT_EQ(far.rfind("f:1: unknown key \"frobnicate\"; a line may hold prompt, ", 0), 0u) << far;
  EXPECT_NE(far.find("negative_prompt"), std::string::npos) << far;
  // Of the whole command, not of one picture.
  for (const char* key :
       {"client", "idempotency_key", "from_picture", "load_embeddings", "prompts", "json", "render"}) {
    EXPECT_NE(refusal(key).find("unknown key"), std::string::npos) << key;
  }
}

TEST(PromptFile, RefusesValuesThatTheFlagWouldRefuse) {
  const auto refusal = [](const std::string& member) { return RefusalOf("{\"prompt\": \"a\", " + member + "}"); };
  EXPECT_EQ(refusal("\"width\": 10"), "f:1: width: 10 must be a whole number from 16 to 16384");
  EXPECT_EQ(refusal("\"width\": \"64\""), "f:1: width: \"64\" must be a whole number from 16 to 16384");
  EXPECT_EQ(refusal("\"steps\": 2.5"), "f:1: steps: \"2.5\" must be a whole number from 1 to 1000");
  EXPECT_EQ(refusal("\"seed\": -1"),
            "f:1: seed: \"-1\" must be a whole number from 0 to 2^64 - 1; leave it out for a random seed");
  EXPECT_EQ(refusal("\"remove_quotes\": 1"), "f:1: remove_quotes: 1 must be true or false");
  EXPECT_EQ(refusal("\"negative_prompt\": null"), "f:1: negative_prompt: null must be a text");
  EXPECT_EQ(refusal("\"shift\": null"), "f:1: shift: null must be a number from 0.001 to 1000");
  EXPECT_EQ(refusal("\"output\": []"), "f:1: output: the empty list names nothing");
  EXPECT_EQ(refusal("\"output\": [7]"), "f:1: output: 7 must be a list of texts");
  EXPECT_EQ(refusal("\"seeds\": [1.5]"), "f:1: seeds: 1.5 must be a seed, or a text such as \"7,11,20-23\"");
  EXPECT_EQ(refusal("\"seeds\": [7, 7]"), "f:1: --seeds names seed 7 twice");
  EXPECT_EQ(refusal("\"seeds\": []"), "f:1: --seeds: \"\" is neither a seed nor a range of seeds, as in 7,11,20-23");
  EXPECT_EQ(refusal("\"system\": \"a\", \"system_prompt\": \"b\""),
            "f:1: \"system_prompt\" says again what another key of the line says");
}

TEST(PromptFile, TakesBracketsForAPromptButNotAListOfObjects) {
  EXPECT_EQ(RefusalOf("[a cat]\n[1, 2]"), "none");
  EXPECT_EQ(RefusalOf("[{\"prompt\": \"a\"}, {\"prompt\": \"b\"}]"),
            "f:1: a JSON list; write its entries without brackets and commas, each on one line (jq -c '.[]')");
}

// Structured prompts, and alternatives of another tool: not guessed at, but the way out is named.
TEST(PromptFile, SaysHowAPromptIsWrittenThatBeginsWithABrace) {
  for (const char* line : {"{\"subject\": \"a red star\", \"background\": \"blue\"}", "{a red|a blue} star", "{"}) {
    const std::string refusal = RefusalOf(line);
    const size_t way = refusal.find("is written ");
    ASSERT_NE(way, refusal.npos) << refusal;
    EXPECT_EQ(PromptsOf(refusal.substr(way + 11)), Prompts{line});
  }
  EXPECT_NE(RefusalOf("{" + std::string(1000, 'a')).find("aaa...\"}"), std::string::npos);
}

TEST(PromptFile, NamesObjectsAndListsOverSeveralLines) {
  for (const char* text :
       {"{\n  \"prompt\": \"a red star\"\n}\n", "[\n  {\"prompt\": \"a\"},\n  {\"prompt\": \"b\"}\n]\n",
        "[\n \"a\",\n \"b\"\n]", "\n[{\n\"prompt\":\n\"a\"}]"}) {
    EXPECT_NE(RefusalOf(text).find("on one line"), std::string::npos) << RefusalOf(text);
  }
  EXPECT_EQ(PromptsOf("[a\ncat]"), (Prompts{"[a", "cat]"}));
}

TEST(PromptFile, LeavesCommentsOut) {
  std::vector<std::string> notes;
  const std::vector<PromptLine> lines =
      ParsePromptFile("# two animals\na cat #1\n  ## more\n#\n#!shuffle\n{\"prompt\": \"#1 dad\"}\n", "f", &notes);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].prompt, "a cat #1");
  EXPECT_EQ(lines[1].prompt, "#1 dad");
  EXPECT_EQ(lines[1].place, "f:6");
  EXPECT_TRUE(notes.empty());
  ParsePromptFile("a cat\n#1 dad\n", "f", &notes);
  EXPECT_EQ(notes,
            std::vector<std::string>{"f:2: a line that begins with \"#\" is a comment; as a prompt it is written "
                                     "{\"prompt\": \"#1 dad\"}"});
}

TEST(PromptFile, NamesTheEncodingOfOtherSystems) {
  for (const std::string& text :
       {std::string("\xFF\xFE"
                    "a\0\n\0",
                    6),
        std::string("\xFE\xFF\0a\0\n", 6), std::string("a\0 \0", 4), std::string("\0a\x53\x6f", 4)}) {
    EXPECT_EQ(RefusalOf(text).rfind("f is UTF-16 text", 0), 0u) << RefusalOf(text);
  }
  EXPECT_EQ(RefusalOf(std::string("\xFF\xFE\0\0a\0\0\0", 8)).rfind("f is UTF-32 text", 0), 0u);
}

TEST(PromptFile, RefusesAFileWithoutPromptAndOneWithTooMany) {
  for (const char* text : {"", "\n\n", " \r\n", "\xEF\xBB\xBF", "# a cat\n"}) {
    EXPECT_EQ(RefusalOf(text), "f holds no prompt: every line is blank or a comment");
  }
  std::string many;
  for (size_t i = 0; i < kMaxPictures; ++i) many += "a\n";
  EXPECT_EQ(RefusalOf(many), "none");
  EXPECT_EQ(RefusalOf(many + "a"), "f:10001: more than 10000 prompts, the limit for one command");
}

}  // namespace
}  // namespace diptych
