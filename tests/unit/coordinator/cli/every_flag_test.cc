// No dead flags: each flag of each command changes something that can be seen from outside: what is printed, the exit
// status, the files written, what the renderer hears, or what the private daemons are started with.
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <tuple>

#include "common/config/options.h"
#include "common/tokenizer/byte_level.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/run.h"
#include "coordinator/files.h"
#include "coordinator/input.h"
#include "gtest/gtest.h"
#include "tests/support/plain_environment.h"
#include "tests/unit/coordinator/support/fake_renderer.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using Arguments = std::vector<std::string>;

constexpr ProgramMask kOwnDaemons = kCliPrivate | kCliTokenizer | kCliMachine;

// FOLDER and RENDERER (its address) stand for what a test has.
struct Row {
  const OptionInfo& option;
  Arguments flag;
  Arguments beside = {};  // given with the flag and without
  bool slow = false;      // the renderer takes its time for every answer
  bool occupied = false;  // a file that is no picture lies where the picture would go
};

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {options::kConfig.info, {"--config", "FOLDER/loud.toml"}},
      {options::kProfile.info, {"--profile", "loud"}, {"--config", "FOLDER/two.toml"}},
      {options::kLogLevel.info, {"--log-level", "debug"}},
      {options::kDebug.info, {"--debug"}},
      {options::kInsecure.info, {"--insecure"}, {"--render", "192.0.2.1:1", "--timeout", "0.2"}},
      {options::kTlsCert.info, {"--tls-cert", "FOLDER/none.crt"}},
      {options::kTlsKey.info, {"--tls-key", "FOLDER/none.key"}},
      {options::kTlsCa.info, {"--tls-ca", "FOLDER/none.crt"}},
      {options::kRender.info, {"--render", "127.0.0.1:1"}, {"--timeout", "0.2"}},
      {options::kTimeout.info, {"--timeout", "0.1"}, {}, /*slow=*/true},
      {options::kJson.info, {"--json"}},
      {options::kOutput.info, {"--output", "FOLDER/out/other.png"}},
      {options::kFormat.info, {"--format", "webp"}},
      {options::kQuality.info, {"--quality", "30"}},
      {options::kNoMetadata.info, {"--no-metadata"}},
      {options::kFit.info, {"--fit", "crop"}, {"--width", "50"}},
      {options::kOverwrite.info, {"--overwrite"}, {}, false, /*occupied=*/true},

      {options::kSystemPrompt.info, {"--system-prompt", "s"}},
      {options::kThinkingContent.info, {"--thinking-content", "t"}},
      {options::kAssistantContent.info, {"--assistant-content", "a"}},
      {options::kForceThinkBlock.info, {"--force-think-block"}},
      {options::kRemoveQuotes.info, {"--remove-quotes"}},
      {options::kKeepWhitespace.info, {"--keep-whitespace"}},
      {options::kPromptFile.info, {"--prompt-file", "FOLDER/prompts.txt"}},
      {options::kConversation.info, {"--conversation", "FOLDER/conversation.json"}},

      {options::kWidth.info, {"--width", "32"}},
      {options::kHeight.info, {"--height", "32"}},
      {options::kSize.info, {"--size", "32x48"}},
      {options::kSteps.info, {"--steps", "2"}},
      {options::kSeed.info, {"--seed", "6"}},
      {options::kShift.info, {"--shift", "2.5"}},
      {options::kGuidanceScale.info, {"--guidance-scale", "2"}},
      {options::kNegativePrompt.info, {"--negative-prompt", "blur"}, {"--guidance-scale", "2"}},
      {options::kCfgNormalization.info, {"--cfg-normalization", "1"}},
      {options::kCfgTruncation.info, {"--cfg-truncation", "0.5"}},
      {options::kStrength.info, {"--strength", "0.25"}, {"--img2img", "FOLDER/source.webp"}},
      {options::kImg2Img.info, {"--img2img", "FOLDER/source.webp"}},
      {options::kInpaint.info,
       {"--inpaint", "FOLDER/source.webp", "--extend", "16,0,0,0"},
       {"--img2img", "FOLDER/source.webp"}},
      {options::kMask.info, {"--mask", "FOLDER/mask.webp"}, {"--img2img", "FOLDER/source.webp"}},
      {options::kMaskFromAlpha.info, {"--mask-from-alpha"}, {"--img2img", "FOLDER/source.webp"}},
      {options::kSoftMask.info, {"--soft-mask"}, {"--img2img", "FOLDER/source.webp", "--mask", "FOLDER/mask.webp"}},
      {options::kInpaintCrop.info,
       {"--inpaint-crop", "8"},
       {"--img2img", "FOLDER/source.webp", "--mask", "FOLDER/mask.webp"}},
      {options::kExtend.info, {"--extend", "16,0,0,0"}, {"--img2img", "FOLDER/source.webp"}},
      {options::kHiddenLayer.info, {"--hidden-layer", "-3"}},
      {options::kLongPromptMode.info, {"--long-prompt-mode", "pool"}},
      {options::kCount.info, {"--count", "2"}},
      {options::kSeeds.info, {"--seeds", "6,7"}},
      {options::kPrompts.info, {"--prompts", "FOLDER/prompts.txt"}},
      {options::kLoadEmbeddings.info, {"--load-embeddings", "FOLDER/none.safetensors"}},
      {options::kFromPicture.info, {"--from-picture", "FOLDER/none.png"}},
      {options::kClient.info, {"--client", "somebody"}},
      {options::kPriority.info, {"--priority", "5"}},
      {options::kIdempotencyKey.info, {"--idempotency-key", "once"}},
      {options::kDeadline.info, {"--deadline", "60"}},
      {options::kPreview.info, {"--preview", "FOLDER/out/preview.jpg"}},
      {options::kFilterStates.info, {"--state", "failed"}},
      {options::kFilterText.info, {"--text", "dog"}},
      {options::kFilterHours.info, {"--hours", "1"}},
      {options::kFilterLimit.info, {"--limit", "1"}},
      {options::kFilterMine.info, {"--mine", "--client", "nobody"}},
      {options::kSelectAll.info, {"--all"}},
      {options::kForce.info, {"--force"}},
      {options::kQuiet.info, {"--quiet"}},
      {options::kSaveEmbeddings.info, {"--save-embeddings", "FOLDER/out/e.safetensors"}},
      {options::kUseCustomScheduler.info, {"--use-custom-scheduler"}},

      {options::kModelPath.info, {"--model-path", "FOLDER/other"}},
      {options::kTextEncoderPath.info, {"--text-encoder-path", "FOLDER/other"}},
      {options::kTransformerPath.info, {"--transformer-path", "FOLDER/other"}},
      {options::kVaePath.info, {"--vae-path", "FOLDER/other"}},
      {options::kEncoderDevice.info, {"--text-encoder-device", "cpu"}},
      {options::kDitDevice.info, {"--dit-device", "cpu"}},
      {options::kVaeDevice.info, {"--vae-device", "cpu"}},
      {options::kTiledVae.info, {"--tiled-vae"}},
      {options::kTileSize.info, {"--tile-size", "256"}},
      {options::kTileOverlap.info, {"--tile-overlap", "32"}},
      {options::kIgnoreMemory.info, {"--ignore-memory"}},
      {options::kFingerprintCache.info, {"--fingerprint-cache", "FOLDER/cache"}},
      {options::kPrivateTorchDtype.info, {"--torch-dtype", "float32"}},
      {options::kPrivateThreads.info, {"--threads", "3"}},
  };
  return rows;
}

// What a command takes and does nothing with, on purpose.
bool MayBeIdle(std::string_view command, const OptionInfo& option) {
  if (command == "tokens" && &option == &options::kJson.info) return true;  // its result is JSON in any case
  // Says whose jobs --mine and "last" are.
  if ((command == "watch" || command == "fetch") && &option == &options::kClient.info) return true;
  // There is nothing to be quiet about.
  return command != "generate" && command != "watch" && &option == &options::kQuiet.info;
}

class EveryFlagTest : public testing::TestWithParam<const CommandEntry*> {
 protected:
  EveryFlagTest() {
    MakeEnvironmentPlain();
    for (const char* name : {"model/tokenizer", "other"}) std::filesystem::create_directories(folder_ / name);
    Write("loud.toml", "[default.log]\nlevel = \"debug\"\n");
    Write("two.toml", "[default]\n[loud.log]\nlevel = \"debug\"\n");
    Write("conversation.json", R"({"messages": [{"role": "user", "content": "hi"}]})");
    Write("prompts.txt", "a dog\n");
    const std::filesystem::path pictures =
        std::filesystem::path(DIPTYCH_SOURCE_DIR) / "tests/unit/common/image/data/decode";
    std::filesystem::copy_file(pictures / "lossless_alpha.webp", folder_ / "source.webp");
    std::filesystem::copy_file(pictures / "lossless.webp", folder_ / "mask.webp");
    Write("other/tokenizer.json", "broken");
    WriteTokenizer();
    // Daemons that note their arguments, one a line, and end.
    for (const std::string name : {"diptych-encoderd", "diptych-renderd"}) {
      Write(name, "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + (folder_ / (name + ".arguments")) +
                      "\necho '{\"listening\":\"127.0.0.1:1\"}'\n");
      std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
    }
  }

  void Write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  // One token a byte, and one merge.
  void WriteTokenizer() {
    nlohmann::json vocabulary = nlohmann::json::object();
    for (int byte = 0; byte < 256; ++byte) {
      const char32_t c = ByteToPrintable(static_cast<uint8_t>(byte));
      const bool ascii = c < 0x80;
      std::string text(1, static_cast<char>(ascii ? c : 0xC0 | c >> 6));
      if (!ascii) text.push_back(static_cast<char>(0x80 | (c & 0x3F)));
      vocabulary[text] = byte;
    }
    vocabulary["th"] = 256;
    Write("model/tokenizer/vocab.json", vocabulary.dump());
    Write("model/tokenizer/merges.txt", "#version: 0.2\nt h\n");
    Write("model/tokenizer/added_tokens.json", R"({"<|im_end|>": 257})");
  }

  static Arguments Base(std::string_view command) {
    const std::string prompt = "a \"red\"  cat";
    if (command == "generate") {
      return {"generate", prompt, "--width", "16", "--height", "16",
              "--steps",  "1",    "--seed",  "5",  "--output", "FOLDER/out/p.png"};
    }
    if (command == "submit") return {"submit", prompt, "--seed", "5"};
    if (command == "watch" || command == "cancel" || command == "rm") return {std::string(command), "job-1"};
    if (command == "fetch") return {"fetch", "job-1", "--output", "FOLDER/out/p.png"};
    if (command == "doctor") return {"doctor", "--model-path", "FOLDER/model"};
    if (command == "models") {
      return {"models", "verify", DIPTYCH_SOURCE_DIR "/models/demo/vae", "--fingerprint-cache", "none"};
    }
    if (command == "tokens") return {"tokens", prompt, "--model-path", "FOLDER/model"};
    return {std::string(command)};
  }

  static bool RunsPrivately(const CommandEntry& entry, const Row& row) {
    return entry.name == "generate" &&
           ((row.option.programs & kOwnDaemons) != 0 || &row.option == &options::kSaveEmbeddings.info);
  }

  // Observe without the flag; once for all rows that agree in the rest, and once more to see that it stays the same.
  const std::string& Plain(const CommandEntry& entry, const Row& row) {
    const auto [place, is_new] = plain_.try_emplace({row.beside, row.slow, row.occupied, RunsPrivately(entry, row)});
    if (is_new) {
      place->second = Observe(entry, row, false);
      EXPECT_EQ(place->second, Observe(entry, row, false)) << "differs by itself";
    }
    return place->second;
  }

  // All that one run shows, without what differs from run to run.
  std::string Observe(const CommandEntry& entry, const Row& row, bool with_flag) {
    FakeRendererService renderer;
    const bool privately = RunsPrivately(entry, row);
    Arguments arguments = Base(entry.name);
    const auto add = [&](const Arguments& more) { arguments.insert(arguments.end(), more.begin(), more.end()); };
    if (privately) {
      add({"--model-path", "FOLDER/model"});
    } else if ((entry.options & kCliConnection) != 0) {
      Run({"submit", "first", "--seed", "1", "--width", "16", "--height", "16", "--steps", "1", "--render", "RENDERER"},
          renderer);
      add({"--render", "RENDERER"});
    }
    add(row.beside);
    if (with_flag) add(row.flag);
    if (entry.name == "resume") Run({"pause", "--client", "ada", "--render", "RENDERER"}, renderer);
    if (entry.name == "jobs") renderer.AddOldJobs(2, v1::JOB_STATE_DONE);
    if (row.slow) renderer.delay = std::chrono::milliseconds(400);
    std::filesystem::remove_all(folder_ / "out");
    if (row.occupied) {
      std::filesystem::create_directory(folder_ / "out");
      Write("out/p.png", "buy milk\n");
    }
    for (const char* name : {"diptych-encoderd.arguments", "diptych-renderd.arguments"})
      std::filesystem::remove(folder_ / name);

    const auto [status, out, err] = Run(arguments, renderer);
    std::string seen = "status " + std::to_string(status) + "\n" + out;
    if (!privately) seen += err;  // which of two daemons that end is noticed first is chance
    for (const std::string& asked : renderer.asked()) seen += asked + "\n";
    for (const v1::JobSpec& spec : renderer.specs()) seen += spec.ShortDebugString() + "\n";
    for (const char* name : {"diptych-encoderd.arguments", "diptych-renderd.arguments"}) {
      if (std::filesystem::exists(folder_ / name))
        seen += std::string(name) + "\n" + ReadBoundedFile(folder_ / name, 1 << 16);
    }
    if (std::filesystem::exists(folder_ / "out")) {
      std::vector<std::string> files;
      for (const auto& file : std::filesystem::directory_iterator(folder_ / "out"))
        files.push_back(file.path().string());
      std::sort(files.begin(), files.end());
      for (const std::string& file : files) {
        seen += file + " of " + std::to_string(std::filesystem::file_size(file)) + " bytes\n";
      }
    }
    seen = std::regex_replace(seen, std::regex("diptych-run-[A-Za-z0-9]{6}/state"), "STATE");
    return std::regex_replace(seen, std::regex(renderer.address.substr(renderer.address.rfind(':'))), ":PORT");
  }

  struct Outcome {
    int status;
    std::string out, err;
  };
  Outcome Run(Arguments arguments, const FakeRendererService& renderer) {
    for (std::string& argument : arguments) {
      argument = std::regex_replace(argument, std::regex("FOLDER"), folder_.path.string());
      if (argument == "RENDERER") argument = renderer.address;
    }
    std::ostringstream out, err;
    Interrupt interrupt;
    Environment environment{
        .out = out, .err = err, .err_columns = {}, .interrupt = interrupt, .program_folder = folder_.path};
    const int status = RunDiptych(arguments, environment);
    return {status, out.str(), err.str()};
  }

  TestFolder folder_;
  std::map<std::tuple<Arguments, bool, bool, bool>, std::string> plain_;
};

TEST_P(EveryFlagTest, ChangesWhatCanBeSeen) {
  const CommandEntry& entry = *GetParam();
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & entry.options) == 0 || MayBeIdle(entry.name, *info)) continue;
    const auto found = std::find_if(Rows().begin(), Rows().end(), [&](const Row& r) { return &r.option == info; });
    ASSERT_NE(found, Rows().end()) << "no row for " << info->flag;
    Row row = *found;
    if (entry.name == "fetch" && info == &options::kFit.info) row.beside = {"--size", "20x30"};
    EXPECT_NE(Plain(entry, row), Observe(entry, row, true)) << info->flag << " changes nothing";
  }
}

std::vector<const CommandEntry*> Commands() {
  std::vector<const CommandEntry*> commands;
  for (const CommandEntry& entry : CommandTable()) commands.push_back(&entry);
  return commands;
}

INSTANTIATE_TEST_SUITE_P(Command, EveryFlagTest, testing::ValuesIn(Commands()),
                         [](const auto& test) { return std::string(test.param->name); });

}  // namespace
}  // namespace diptych
