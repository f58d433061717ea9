#include "coordinator/cli/checks.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/concurrency/physical_cores.h"
#include "common/error/error.h"
#include "common/model_config/json_facts.h"
#include "common/model_config/model_index.h"
#include "common/model_config/schedule.h"
#include "common/net/tls_advice.h"
#include "common/net/tls_files.h"
#include "common/source_files/model_folder.h"
#include "common/source_files/read_file.h"
#include "common/weights/checkpoint.h"
#include "common/weights/load_tokenizer.h"
#include "common/weights/part_source.h"
#include "common/weights/weight_need.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/machine_text.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// Runs `work`, which returns what it found; an exception is a problem.
template <typename Work>
void Add(std::vector<Check>& checks, const std::string& what, const std::string& advice, Work&& work) {
  try {
    checks.push_back({true, what, work(), ""});
  } catch (const std::exception& error) {
    checks.push_back({false, what, error.what(), advice});
  }
}

// Words of the first "flags" line of /proc/cpuinfo; empty where there is none.
std::vector<std::string> CpuFlags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line.substr(std::min(line.size(), line.find(':') + 1)));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

std::string MatrixUnits() {
  std::string units;
  for (const std::string& flag : CpuFlags()) {
    for (const char* wanted : {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}) {
      if (flag == wanted) absl::StrAppend(&units, units.empty() ? "" : " ", flag);
    }
  }
  return units.empty() ? "no AVX2, AVX-512 or AMX" : units;
}

// What the daemons would warn of, for the end of a line.
std::string Behind(const std::vector<std::string>& warnings) {
  std::string text;
  for (const std::string& line : warnings) absl::StrAppend(&text, "; ", line);
  return text;
}

// Blocks of a network: tensors "layers.0.*" to "layers.<n-1>.*", n the value of `count_key` in config.json.
struct Blocks {
  std::string name;
  const char* count_key;
};

// Throws Error when one of the blocks lacks a tensor that another one has.
void CheckBlocks(const Checkpoint& checkpoint, const Blocks& blocks, const JsonFacts& config, const std::string& path) {
  std::set<std::string> wanted;  // what follows the number
  std::string front;             // what precedes it
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const size_t begin = name.rfind(blocks.name + ".", 0) == 0 ? 0 : name.find("." + blocks.name + ".");
    if (begin == std::string::npos) continue;
    const size_t number = name.find(blocks.name, begin) + blocks.name.size() + 1;
    front = name.substr(0, number);
    wanted.insert(name.substr(std::min(name.find('.', number), name.size())));
  }
  if (wanted.empty()) throw Error(ErrorCode::kDataLoss, path + ": there is no tensor " + blocks.name + ".0.*");
  const int64_t count = config.Positive(blocks.count_key);
  for (int64_t i = 0; i < count; ++i) {
    for (const std::string& rest : wanted) {
      const std::string name = absl::StrCat(front, i, rest);
      if (checkpoint.tensors().contains(name)) continue;
      throw Error(ErrorCode::kDataLoss, absl::StrCat(path, ": tensor ", name, " is missing; config.json says ",
                                                     blocks.count_key, " ", count));
    }
  }
}

// Its tensors are listed, its config.json, where there is one, is readable and its blocks are complete; returns a summary.
// `model_path`: as given, for the configuration of a single file.
std::string DescribePart(ModelPart part, const fs::path& path, const std::string& model_path,
                         const std::vector<Blocks>& blocks) {
  const PartSource source = OpenPart(path.string(), part, model_path);  // says what else it is, if it is no part of a checkpoint
  const std::shared_ptr<const Checkpoint>& checkpoint = source.weights;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : checkpoint->tensors()) bytes += tensor.entry->byte_count;
  if (!source.config_file.empty()) {
    try {
      const JsonFacts config(source.config_text, source.config_file);
      for (const Blocks& one : blocks) CheckBlocks(*checkpoint, one, config, path.string());
    } catch (const Error& error) {
      throw Error(error.code(), error.what() + FamilyNote(path.string()));
    }
  }
  std::string found = absl::StrCat(path.string(), ": ", checkpoint->tensors().size(), " tensors, ", bytes >> 20, " MiB");
  if (const std::string layout = checkpoint->LayoutText(); !layout.empty()) absl::StrAppend(&found, ", ", layout);
  if (!fs::is_directory(path)) absl::StrAppend(&found, "; configuration taken from ", source.ConfigOrigin());
  return absl::StrCat(found, Behind(checkpoint->warnings()));
}

int64_t ConfigNumber(const fs::path& config, const char* key) {
  return JsonFacts(ReadTextFile(config.string()), config.string()).Positive(key);
}

fs::path Part(const PrivateOptions& options, const std::string& own, const char* name) {
  return own.empty() ? fs::path(options.model_path) / name : fs::path(own);
}

// Text encoder, transformer and VAE on this machine, from the headers of their files.
std::string DescribeFit(const fs::path& text_encoder, const fs::path& transformer, const fs::path& vae,
                        const MemoryFacts& memory) {
  const WeightNeed encoder = NeedOf(*Checkpoint::Open(text_encoder.string(), ModelPart::kTextEncoder), Dtype::BF16, {"lm_head."});
  const WeightNeed decoder = NeedOf(*Checkpoint::Open(vae.string(), ModelPart::kVae), Dtype::F32, {"encoder.", "quant_conv."});
  const std::shared_ptr<const Checkpoint> dit = Checkpoint::Open(transformer.string(), ModelPart::kTransformer);
  const WeightNeed wide = NeedOf(*dit, Dtype::F32), narrow = NeedOf(*dit, Dtype::BF16);
  const auto text = [](const WeightNeed& need) {
    const std::string mapped = absl::StrCat(BytesText(need.mapped), " in mapped files");
    if (need.copied == 0) return mapped;
    return absl::StrCat(BytesText(need.copied), " of memory", need.mapped == 0 ? "" : " and " + mapped);
  };
  const uint64_t beside = encoder.copied + decoder.copied;
  std::string found = absl::StrCat("text encoder ", text(encoder), "; transformer ", text(wide), " in float32, ",
                                   text(narrow), " in bfloat16; VAE ", text(decoder));
  const std::optional<MemoryRoom> room = RoomNow(memory);
  if (!room) return found;
  absl::StrAppend(&found, "; available ", RoomText(*room), ": ");
  if (beside + narrow.copied > room->bytes) {
    throw Error(ErrorCode::kResourceExhausted, absl::StrCat(found, "this machine cannot hold them"));
  }
  const bool fits_wide = beside + encoder.mapped + wide.copied <= room->bytes;
  return absl::StrCat(found, "fits in ", fits_wide ? "float32" : "bfloat16");
}

}  // namespace

void CheckMemory(const PrivateOptions& options, const MemoryFacts& memory, std::vector<Check>& checks) {
  Add(checks, "memory here", "use a machine with more memory, or end other programs", [&] {
    return DescribeFit(Part(options, options.text_encoder_path, "text_encoder"),
                       Part(options, options.transformer_path, "transformer"), Part(options, options.vae_path, "vae"),
                       memory);
  });
}

void CheckPrograms(const fs::path& program_folder, std::vector<Check>& checks) {
  for (const char* name : {"diptych-encoderd", "diptych-renderd"}) {
    Add(checks, name, "build all programs into one folder, or install the package", [&] {
      const fs::path program = program_folder / name;
      if (access(program.c_str(), X_OK) != 0) {
        throw Error(ErrorCode::kNotFound, program.string() + " is missing or may not be run; --model-path needs it");
      }
      return program.string();
    });
  }
}

void CheckMachine(int64_t threads, std::vector<Check>& checks) {
  const int cores = PhysicalCores();
  checks.push_back({true, "processor", MatrixUnits(), ""});
  const std::string used = threads > 0 ? absl::StrCat(threads, " threads configured") : "one thread for each is used";
  checks.push_back({threads <= 2 * int64_t{cores}, "cores", absl::StrCat(cores, " physical cores, ", used),
                    "more threads than processors make everything slower; leave --threads out"});
}

void CheckCheckpoint(const PrivateOptions& options, std::vector<Check>& checks) {
  if (!options.model_path.empty()) {
    if (const std::string problem = ModelFolderProblem(options.model_path); !problem.empty()) {
      checks.push_back({false, "checkpoint", problem,
                        "give the folder that holds tokenizer, text_encoder, transformer and vae as --model-path"});
      return;
    }
    if (const std::string note = FamilyNote((fs::path(options.model_path) / "transformer").string()); !note.empty()) {
      checks.push_back(
          {false, "checkpoint", note.substr(2), "give the folder of a Z-Image checkpoint as --model-path"});
    }
  }
  const fs::path text_encoder = Part(options, options.text_encoder_path, "text_encoder");
  const fs::path transformer = Part(options, options.transformer_path, "transformer");
  const fs::path vae = Part(options, options.vae_path, "vae");
  const char* advice =
      "put what is named there (of the same model; what is whole need not be fetched again), or name the part with its "
      "own --...-path flag";
  Add(checks, "tokenizer", advice, [&] {
    const std::string place = options.TokenizerPlace().string();
    const BpeTokenizer tokenizer = LoadTokenizer(place);
    return absl::StrCat(place, ": ", tokenizer.vocabulary_size(), " tokens", Behind(tokenizer.warnings()));
  });
  Add(checks, "text encoder", advice, [&] { return DescribePart(ModelPart::kTextEncoder, text_encoder, options.model_path, {{"layers", "num_hidden_layers"}}); });
  Add(checks, "transformer", advice, [&] {
    return DescribePart(
        ModelPart::kTransformer, transformer, options.model_path,
        {{"layers", "n_layers"}, {"noise_refiner", "n_refiner_layers"}, {"context_refiner", "n_refiner_layers"}});
  });
  Add(checks, "vae", advice, [&] { return DescribePart(ModelPart::kVae, vae, options.model_path, {}); });
  // Where the renderer looks for it; it need not be there.
  const fs::path model = options.model_path.empty() ? fs::path(ModelFolderOf(transformer.string())) : fs::path(options.model_path);
  const fs::path scheduler = model / "scheduler";
  if (!IsAbsent((scheduler / "scheduler_config.json").string())) {
    Add(checks, "scheduler", advice, [&] {
      const ScheduleFacts facts = ReadSchedule(scheduler.string());
      const std::string shift = facts.dynamic ? "shift by size" : absl::StrCat("shift ", facts.shift);
      return absl::StrCat((scheduler / "scheduler_config.json").string(), ": ", shift, Behind(facts.warnings));
    });
  }
  if (!IsAbsent((model / "model_index.json").string())) {
    Add(checks, "made for", advice, [&] {
      const ModelIndex index = ReadModelIndex(model.string());
      const ModelDefaults& made_for = index.defaults;
      return absl::StrCat((model / "model_index.json").string(), ": ", made_for.width, "x", made_for.height, ", ",
                          made_for.steps, " steps", Behind(index.warnings));
    });
  }
  if (!fs::is_directory(text_encoder) || !fs::is_directory(transformer)) return;
  Add(checks, "pairing", "use the text encoder that belongs to this transformer", [&] {
    const int64_t width = ConfigNumber(text_encoder / "config.json", "hidden_size");
    const int64_t wanted = ConfigNumber(transformer / "config.json", "cap_feat_dim");
    if (width != wanted) {
      throw Error(ErrorCode::kFailedPrecondition,
                  absl::StrCat("the text encoder makes rows of ", width, " values, the transformer takes ", wanted,
                               " (cap_feat_dim)"));
    }
    return absl::StrCat("text encoder and transformer agree on rows of ", width, " values");
  });
}

bool CheckCredentials(const Credentials& credentials, std::vector<Check>& checks) {
  if (!credentials.has_tls()) return true;
  const absl::StatusOr<TlsFiles> files = ReadTlsFiles(credentials, TlsEnd::kClient);
  if (!files.ok()) {
    checks.push_back({false, "certificates", std::string(files.status().message()),
                      "docs/security.md, Certificates, says how they are made"});
    return false;
  }
  checks.push_back({true, "certificates", files->summary.empty() ? "none of our own" : files->summary, ""});
  for (const std::string& warning : files->warnings) checks.push_back({true, "certificates", warning, ""});
  return true;
}

void CheckRenderer(const ConnectionOptions& connection, std::vector<Check>& checks) {
  RendererDescription renderer;
  const size_t before = checks.size();
  Add(checks, "renderer", "start diptych-renderd there, or correct --render; its log says what it is doing", [&] {
    renderer = ValueOrThrow(ConnectToRenderer(connection)->Describe());
    return absl::StrCat(connection.render, " serves: ", renderer.device, ", ", renderer.dtype,
                        ", waiting jobs: ", renderer.queued);
  });
  if (!checks[before].ok) {
    if (HoldsTlsAdvice(checks[before].found)) checks[before].advice.clear();
    return;
  }
  if (renderer.state_folder) {
    const StateFolderReport& folder = *renderer.state_folder;
    checks.push_back({folder.problem.empty(), "state folder",
                      folder.problem.empty() ? absl::StrCat(folder.free_bytes / 1'000'000, " MB free") : folder.problem,
                      "make room on the renderer's disk, or start diptych-renderd with another --state-dir; it keeps "
                      "what it has accepted"});
  }
  if (renderer.machine) {
    const MachineReport& machine = *renderer.machine;
    checks.push_back({true, "computes with", MachineText(machine.facts), ""});
    checks.push_back({!machine.available || machine.facts.work <= machine.available->bytes, "memory",
                      MemoryText(machine, renderer.largest_side),
                      "end other programs on the renderer's machine, or paint smaller pictures"});
  }
  if (renderer.encoders.empty()) {
    checks.push_back({false, "encoder", "the renderer knows no encoder", "give diptych-renderd --encoder HOST:PORT"});
  }
  for (const EncoderReport& encoder : renderer.encoders) {
    if (!encoder.reachable) {
      checks.push_back(
          {false, "encoder", absl::StrCat(encoder.address, ": ", encoder.error),
           HoldsTlsAdvice(encoder.error) ? "" : "start diptych-encoderd there, or correct the renderer's --encoder"});
    } else if (encoder.width != renderer.cap_feat_dim) {
      checks.push_back({false, "encoder",
                        absl::StrCat(encoder.address, " makes rows of ", encoder.width,
                                     " values, the transformer takes ", renderer.cap_feat_dim, " (cap_feat_dim)"),
                        "start it with the checkpoint that the renderer has"});
    } else {
      checks.push_back(
          {true, "encoder", absl::StrCat(encoder.address, " serves rows of ", encoder.width, " values"), ""});
    }
  }
}

}  // namespace diptych
