// Files whose author means no good, given to the real programs: one line that says what is wrong, at once and in little
// memory.
#include <sys/stat.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPatience(20);  // each takes a fraction of a second of work

std::string Repeated(const std::string& part, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text += part;
  return text;
}

// With so much address space; of the command line, which maps no weights and no libtorch.
Outcome DiptychWithin(int64_t mib, const Arguments& arguments) {
  std::string line = "ulimit -v " + std::to_string(mib * 1024) + "; exec \"$0\" \"$@\"";
  Arguments all = {"/bin/sh", "-c", line, ProgramPath("diptych")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  Process process(all);
  return Finish(process, kPatience);
}

Outcome DaemonWithin(const std::string& program, Arguments arguments) {
  arguments.insert(arguments.begin(), ProgramPath(program));
  Process process(arguments);
  return Finish(process, kPatience);
}

// Ended by itself, with a last line that holds the piece.
void ExpectRefused(const Outcome& outcome, const std::string& piece) {
  EXPECT_GT(outcome.status, 0) << outcome.err;
  EXPECT_LT(outcome.status, 100) << "a signal: " << outcome.err;
  const std::string last = outcome.err.substr(outcome.err.rfind('\n', outcome.err.size() - 2) + 1);
  EXPECT_NE(last.find(piece), std::string::npos) << piece << " is not in: " << last;
  EXPECT_LT(last.size(), 500u) << last;
}

struct Spoilt {
  std::string name;  // of the file
  std::string text;  // "": a FIFO; "@": a link to /dev/zero
  std::string piece;
};

// A copy of toy_a in which one file is another.
std::string SpoiltModel(const Scratch& scratch, const Spoilt& spoilt) {
  const fs::path model = scratch / "model";
  fs::remove_all(model);
  fs::copy(ToyPath("toy_a"), model, fs::copy_options::recursive);
  const fs::path file = model / spoilt.name;
  fs::remove(file);
  if (spoilt.text.empty()) {
    EXPECT_EQ(mkfifo(file.c_str(), 0600), 0);
  } else if (spoilt.text == "@") {
    fs::create_symlink("/dev/zero", file);
  } else {
    WriteFile(file, spoilt.text);
  }
  return model;
}

TEST(HostileFiles, OfAModelAreRefusedByTheDaemonsAndByDoctor) {
  const std::string deep = R"({"zz": )" + Repeated("[", 200'000) + Repeated("]", 200'000) + "}";
  const std::string wide = R"({"zz": [)" + Repeated("{},", 1'000'000) + "0]}";
  const Scratch scratch;
  for (const Spoilt& spoilt : {Spoilt{"config.json", deep, "nested deeper than 64 levels"},
                               {"config.json", wide, "holds more than 200000 values"},
                               {"config.json", R"({"hidden_size": 1e999})", "not valid JSON: a number is out of range"},
                               {"config.json", "", "a FIFO, expected an ordinary file"},
                               {"config.json", "@", "a device, expected an ordinary file"}}) {
    for (const std::string part : {"text_encoder", "transformer"}) {
      const std::string model = SpoiltModel(scratch, {part + "/" + spoilt.name, spoilt.text, ""});
      ExpectRefused(part == "text_encoder"
                        ? DaemonWithin("diptych-encoderd", {"--model-path", model, "--listen", "127.0.0.1:0"})
                        : DaemonWithin("diptych-renderd", {"--model-path", model, "--listen", "127.0.0.1:0",
                                                           "--state-dir", scratch / "state"}),
                    spoilt.piece);
      const Outcome doctor = DiptychWithin(1000, {"doctor", "--model-path", model});
      EXPECT_EQ(doctor.status, 1) << doctor.err;
      EXPECT_NE(doctor.out.find(spoilt.piece), std::string::npos) << doctor.out;
    }
  }
  for (const Spoilt& spoilt :
       {Spoilt{"tokenizer/tokenizer.json", deep, "nested deeper than 64 levels"},
        {"tokenizer/tokenizer_config.json", deep, "nested deeper than 64 levels"},
        {"tokenizer/tokenizer.json", "{\"x\": [" + Repeated("{},", 7'000'000) + "0]}",
         "holds more than 1000000 values"},
        {"tokenizer/tokenizer_config.json", "{\"a\": 1e999}", "not valid JSON: a number is out of range"}}) {
    ExpectRefused(DiptychWithin(1000, {"tokens", "--model-path", SpoiltModel(scratch, spoilt), "a"}), spoilt.piece);
  }
}

TEST(HostileFiles, OfTheConfigurationAreRefusedByEveryProgram) {
  const Scratch scratch;
  const std::string file = scratch / "c.toml", fifo = scratch / "fifo.toml";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto expect = [&](const std::string& config, const std::string& piece) {
    ExpectRefused(DiptychWithin(1000, {"doctor", "--config", config}), piece);
    for (const char* daemon : {"diptych-encoderd", "diptych-renderd"}) {
      ExpectRefused(DaemonWithin(daemon, {"--config", config}), piece);
    }
  };
  WriteFile(file, "[default]\nmodel_path = " + Repeated("[", 10'000) + Repeated("]", 10'000));
  expect(file, file + ":2: nested deeper than 8 levels");
  WriteFile(file, "[default" + Repeated(".a", 50'000) + "]");
  expect(file, file + ":1: a key of more than 8 parts");
  WriteFile(file, "[default" + Repeated(".a", 400'000) + "]");
  expect(file, file + " is larger than 128 KiB");
  expect("/dev/zero", "/dev/zero is larger than 128 KiB");
  expect(fifo, "nobody writes into the configuration file");
}

TEST(HostileFiles, OfAUserAreRefusedByTheCommandLine) {
  const Scratch scratch;
  WriteFile(scratch / "c.json", R"({"messages":[{"role":"user","content":"x"}],"k":1e999})");
  const Outcome number =
      DiptychWithin(1000, {"tokens", "--model-path", ToyPath("toy_a"), "--conversation", scratch / "c.json"});
  ExpectRefused(number, "conversation: is not JSON: a number is out of range");
  WriteFile(scratch / "c.json", Repeated("[", 400'000) + Repeated("]", 400'000));
  ExpectRefused(DiptychWithin(1000, {"tokens", "--model-path", ToyPath("toy_a"), "--conversation", scratch / "c.json"}),
                "conversation: nested deeper than 64 levels");

  std::string header = R"({"embeddings":{"dtype":"F32","shape":[2,128],"data_offsets":[0,1024]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  WriteFile(scratch / "e.safetensors", bytes + header + std::string(1024, '\0'));
  WriteFile(scratch / "e.json", R"({"negative":{"x":)" + Repeated("[", 200'000) + Repeated("]", 200'000) + "}}");
  const Arguments generate = {"generate", "--render", "127.0.0.1:1"};
  const auto with = [&](const std::string& flag, const std::string& file) {
    Arguments all = generate;
    all.insert(all.end(), {flag, file});
    return DiptychWithin(1000, all);
  };
  ExpectRefused(with("--load-embeddings", scratch / "e.safetensors"), "nested deeper than 16 levels");

  // 8 MB that hold 8 GB of text.
  const auto chunk = [](const std::string& name, const std::string& data) {
    const auto number = [](uint32_t value) {
      std::string out;
      for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
      return out;
    };
    const std::string body = name + data;
    return number(static_cast<uint32_t>(data.size())) + body +
           number(static_cast<uint32_t>(
               crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
  };
  const std::string text((8 << 20) - 100, ' '), nul(1, '\0');
  uLongf size = compressBound(text.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size(),
            9);
  packed.resize(size);
  std::string png = "\x89PNG\r\n\x1a\n" + chunk("IHDR", std::string("\0\0\0\x10\0\0\0\x10\x08\2\0\0\0", 13));
  for (int i = 0; i < 999; ++i) png += chunk("iTXt", "k" + std::to_string(i) + nul + "\1" + nul + nul + nul + packed);
  WriteFile(scratch / "bomb.png", png + chunk("IDAT", "") + chunk("IEND", ""));
  ExpectRefused(with("--from-picture", scratch / "bomb.png"), "the picture carries no Diptych receipt");
}

}  // namespace
}  // namespace diptych::integration
