// Reads the line as the programs do for which it is written, each by its own documented way.
#include "common/receipt/parameters_text.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using Fields = std::map<std::string, std::string>;

std::string Stripped(const std::string& text) {
  const char* const kBlanks = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlanks);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// Automatic1111: the last line holds the fields when it has three or more; a line that begins with "Negative prompt:"
// ends the prompt; a size becomes two numbers; a quoted value is JSON.
Fields ReadAsA1111(const std::string& text) {
  static const std::regex kField(R"re(\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$))re");
  static const std::regex kSize(R"((\d+)x(\d+))");
  std::vector<std::string> lines;
  std::istringstream in(Stripped(text));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  Fields fields;
  if (lines.empty()) return fields;
  const std::string last = lines.back();
  const auto begin = std::sregex_iterator(last.begin(), last.end(), kField), end = std::sregex_iterator();
  const bool has_fields = std::distance(begin, end) >= 3;
  if (has_fields) lines.pop_back();
  bool negative = false;
  for (std::string line : lines) {
    line = Stripped(line);
    if (line.rfind("Negative prompt:", 0) == 0) {
      negative = true;
      line = Stripped(line.substr(16));
    }
    std::string& part = fields[negative ? "Negative prompt" : "Prompt"];
    part += (part.empty() ? "" : "\n") + line;
  }
  if (!has_fields) return fields;
  for (auto match = begin; match != end; ++match) {
    std::string value = (*match)[2];
    if (value.size() > 1 && value.front() == '"' && value.back() == '"') value = nlohmann::json::parse(value);
    std::smatch size;
    if (std::regex_match(value, size, kSize)) {
      fields[(*match)[1].str() + "-1"] = size[1];
      fields[(*match)[1].str() + "-2"] = size[2];
    } else {
      fields[(*match)[1]] = value;
    }
  }
  return fields;
}

// ComfyUI's import: nothing at all unless both marks are there.
std::optional<Fields> ReadAsComfyUi(const std::string& text) {
  const size_t steps = text.rfind("\nSteps:");
  if (steps == text.npos) return std::nullopt;
  const size_t negative = text.rfind("\nNegative prompt:", steps);
  if (negative == text.npos) return std::nullopt;
  Fields fields = {{"positive", Stripped(text.substr(0, negative))},
                   {"negative", Stripped(text.substr(negative + 18, steps - negative - 18))}};
  std::string line = text.substr(steps + 1);
  line = line.substr(0, line.find('\n'));
  static const std::regex kField(R"re(\s*([^:]+):\s*([^"{].*?|".*?"|\{.*?\})\s*(,|$))re");
  for (auto match = std::sregex_iterator(line.begin(), line.end(), kField); match != std::sregex_iterator(); ++match) {
    fields[(*match)[1]] = (*match)[2];
  }
  return fields;
}

// SD Prompt Reader: by the first marks.
Fields ReadAsSdPromptReader(const std::string& text) {
  const size_t steps = text.find("\nSteps:");
  Fields fields;
  if (steps == text.npos) return fields;
  const size_t negative = text.find("\nNegative prompt:");
  fields["positive"] = Stripped(text.substr(0, std::min(negative, steps)));
  if (negative < steps) fields["negative"] = Stripped(text.substr(negative + 17, steps - negative - 17));
  static const std::regex kField(R"(\s*([^:,]+):\s*([^,]+))");
  const std::string rest = text.substr(steps);
  for (auto match = std::sregex_iterator(rest.begin(), rest.end(), kField); match != std::sregex_iterator(); ++match) {
    fields[Stripped((*match)[1])] = (*match)[2];
  }
  return fields;
}

Receipt Sample(const std::string& prompt) {
  Receipt receipt;
  receipt.program_version = "0.1.0";
  receipt.prompt = PromptParts{};
  receipt.prompt->user = prompt;
  receipt.width = 640;
  receipt.height = 512;
  receipt.seed = 9223372036854775807u;
  receipt.steps = 9;
  receipt.shift = 3;
  receipt.transformer_fingerprint = "0123456789abcdef" + std::string(48, 'a');
  return receipt;
}

TEST(ParametersText, IsReadWholeByEveryone) {
  Receipt receipt = Sample("a circle, \"red\": (big:1.2)\non a table");
  receipt.negative = PromptParts{};
  receipt.negative->user = "blue, green";
  receipt.guidance_scale = 1.5;
  const std::string text = ParametersText(receipt);
  const Fields wanted = {{"CFG scale", "2.5"},
                         {"Model hash", "0123456789"},
                         {"Negative prompt", "blue, green"},
                         {"Prompt", "a circle, \"red\": (big:1.2)\non a table"},
                         {"Sampler", "Euler"},
                         {"Schedule type", "Simple"},
                         {"Seed", "9223372036854775807"},
                         {"Shift", "3"},
                         {"Size-1", "640"},
                         {"Size-2", "512"},
                         {"Steps", "9"},
                         {"Version", "diptych 0.1.0"}};
  EXPECT_EQ(ReadAsA1111(text), wanted);

  const std::optional<Fields> comfy = ReadAsComfyUi(text);
  ASSERT_TRUE(comfy);
  EXPECT_EQ(comfy->at("positive"), wanted.at("Prompt"));
  EXPECT_EQ(comfy->at("negative"), wanted.at("Negative prompt"));
  EXPECT_EQ(comfy->at("CFG scale"), "2.5");
  EXPECT_EQ(comfy->at("Size"), "640x512");

  Fields reader = ReadAsSdPromptReader(text);
  EXPECT_EQ(reader["positive"], wanted.at("Prompt"));
  EXPECT_EQ(reader["negative"], wanted.at("Negative prompt"));
  for (const char* field : {"Steps", "Sampler", "CFG scale", "Seed", "Model hash", "Shift"}) {
    EXPECT_EQ(reader[field], wanted.at(field)) << field;
  }
}

// There 1 means no guidance, and 0 is no scale at all.
TEST(ParametersText, CountsTheGuidanceAsA1111) {
  Receipt receipt = Sample("a star");
  for (const auto& [guidance, wanted] :
       {std::pair(0.0, "1"), std::pair(1.5, "2.5"), std::pair(6.0, "7"), std::pair(0.25, "1.25")}) {
    receipt.guidance_scale = guidance;
    EXPECT_EQ(ReadAsA1111(ParametersText(receipt))["CFG scale"], wanted);
  }
}

TEST(ParametersText, IsFoundWithoutAPrompt) {
  Receipt empty = Sample(""), none = Sample("");
  none.prompt.reset();
  for (const Receipt& receipt : {empty, none}) {
    const std::string text = ParametersText(receipt);
    EXPECT_EQ(ReadAsA1111(text)["Steps"], "9");
    EXPECT_EQ(ReadAsA1111(text)["Prompt"], "");
    ASSERT_TRUE(ReadAsComfyUi(text));
    EXPECT_EQ(ReadAsComfyUi(text)->at("negative"), "");
    EXPECT_EQ(ReadAsSdPromptReader(text)["Steps"], "9");
  }
}

TEST(ParametersText, KeepsItsFieldsApartFromWordsInThePrompt) {
  const std::string prompt = "Steps: 1, Sampler: DPM, CFG scale: 30, Seed: 5\nbut red";
  Fields fields = ReadAsA1111(ParametersText(Sample(prompt)));
  EXPECT_EQ(fields["Prompt"], prompt);
  EXPECT_EQ(fields["Steps"], "9");
  EXPECT_EQ(fields["Seed"], "9223372036854775807");
  fields = ReadAsA1111(ParametersText(Sample("no Negative prompt: here")));
  EXPECT_EQ(fields["Prompt"], "no Negative prompt: here");
  EXPECT_EQ(fields["Negative prompt"], "");
  // A line that begins with it is one in A1111's own files, too; the fields stay what they are.
  fields = ReadAsA1111(ParametersText(Sample("a star\nNegative prompt: blue")));
  EXPECT_EQ(fields["Prompt"], "a star");
  EXPECT_EQ(fields["Size-1"], "640");
}

TEST(ParametersText, QuotesAsA1111) {
  Receipt receipt = Sample("a star");
  receipt.program_version = "1.0, built: \"today\"";
  EXPECT_EQ(ReadAsA1111(ParametersText(receipt))["Version"], "diptych 1.0, built: \"today\"");
}

TEST(ParametersText, ShowsWhatTheUserOfAConversationSaidLast) {
  Receipt receipt = Sample("");
  receipt.prompt->conversation_json =
      R"({"messages": [{"role": "user", "content": "a cat"}, {"role": "assistant", "content": "drawn"},
                       {"role": "user", "content": "now a dog"}]})";
  EXPECT_EQ(ReadAsA1111(ParametersText(receipt))["Prompt"], "now a dog");
  receipt.prompt->conversation_json = "broken";
  EXPECT_EQ(ReadAsA1111(ParametersText(receipt))["Steps"], "9");
}

TEST(ParametersText, NamesTheScheduleAsA1111) {
  Receipt receipt = Sample("a star");
  for (const auto& [schedule, wanted] : {std::pair("", "Simple"), std::pair("even, terminal 0.1", "Simple"),
                                         std::pair("karras", "Karras"), std::pair("karras, sigma_min 0.1", "Karras"),
                                         std::pair("exponential", "Exponential"), std::pair("beta", "Beta")}) {
    receipt.schedule = schedule;
    EXPECT_EQ(ReadAsA1111(ParametersText(receipt))["Schedule type"], wanted) << schedule;
  }
}

TEST(ParametersText, HoldsNoNul) { EXPECT_EQ(ParametersText(Sample(std::string("a\0b", 3))).rfind("ab\n", 0), 0u); }

}  // namespace
}  // namespace diptych
