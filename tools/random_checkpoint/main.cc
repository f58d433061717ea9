// diptych-random-checkpoint: a Z-Image folder of any size without a download, for first runs, tests and benchmarks.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <map>
#include <string>

#include "common/error/error.h"
#include "tools/random_checkpoint/random_checkpoint.h"

namespace {

using diptych::random_checkpoint::Options;
using diptych::random_checkpoint::Sizes;

// Name -> purpose; the flag accepts the names, and the help lists both.
std::map<std::string, std::string> PresetTable() {
  std::map<std::string, std::string> table;
  for (const auto& preset : diptych::random_checkpoint::Presets()) table[preset.name] = preset.purpose;
  return table;
}

std::string PresetHelp() {
  std::string help = "starting sizes";
  for (const auto& [name, purpose] : PresetTable()) help += "\n" + name + ": " + purpose;
  return help;
}

// Every size can be overridden; `sizes` holds the preset's on entry.
void AddSizeFlags(CLI::App& app, Sizes& sizes) {
  app.add_option("--dim", sizes.transformer.dim, "transformer: features of a token");
  app.add_option("--heads", sizes.transformer.heads, "transformer: attention heads");
  app.add_option("--layers", sizes.transformer.layers, "transformer: main layers");
  app.add_option("--refiner-layers", sizes.transformer.refiner_layers, "transformer: layers of each refiner");
  app.add_option("--text-dim", sizes.text.hidden, "text encoder: features of a token");
  app.add_option("--text-layers", sizes.text.layers, "text encoder: layers");
  app.add_option("--text-heads", sizes.text.heads, "text encoder: query heads");
  app.add_option("--text-kv-heads", sizes.text.kv_heads, "text encoder: key and value heads");
  app.add_option("--text-head-dim", sizes.text.head_dim, "text encoder: features of a head");
  app.add_option("--text-intermediate", sizes.text.intermediate, "text encoder: hidden features of the MLP");
  app.add_option("--vocabulary", sizes.text.vocabulary, "text encoder: rows of the embedding");
  app.add_flag("--tied,!--untied", sizes.text.tied, "text encoder: without or with an lm_head of its own");
  app.add_option("--vae-channels", sizes.vae.channels, "VAE: channels per level, finest first")->delimiter(',');
  app.add_option("--vae-layers", sizes.vae.layers_per_block, "VAE: layers per block");
  app.add_option("--vae-groups", sizes.vae.groups, "VAE: groups of the norms");
  app.add_option("--native-size", sizes.native_size, "pixels of the side of a usual picture");
  app.add_option("--shift", sizes.shift, "shift of the schedule");
}

void AddFlags(CLI::App& app, std::string& folder, std::string& preset, std::string& dtype, Options& options,
              Sizes& sizes) {
  app.add_option("--output", folder, "folder to write; new or empty")->required();
  app.add_option("--preset", preset, PresetHelp())
      ->check(CLI::IsMember(PresetTable()).description(""))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the weights")->capture_default_str();
  app.add_option("--dtype", dtype,
                 "how the weights are stored; Q8_0 and Q4_K: transformer and text encoder as GGUF files")
      ->check(CLI::IsMember({"bfloat16", "float32", "Q8_0", "Q4_K"}))
      ->capture_default_str();
  app.add_option("--max-shard-bytes", options.max_shard_bytes, "split larger models into files of this size")
      ->capture_default_str();
  AddSizeFlags(app, sizes);
}

int Run(int argc, char** argv) {
  CLI::App app("Writes a Z-Image checkpoint folder with random weights.");
  std::string folder, preset = "tiny", dtype = "bfloat16";
  Options options;
  Sizes sizes;
  AddFlags(app, folder, preset, dtype, options, sizes);
  try {
    app.parse(argc, argv);  // learns the preset
    sizes = diptych::random_checkpoint::PresetSizes(preset);
    app.parse(argc, argv);  // lays the overrides over it
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    CheckSizes(sizes);
  } catch (const diptych::Error& error) {
    std::cerr << "diptych-random-checkpoint: " << error.what() << "\n";
    return 2;  // wrong usage; from here on it is the work that fails
  }
  options.float32 = dtype == "float32";
  if (dtype == "Q8_0") options.quantised = diptych::Dtype::Q8_0;
  if (dtype == "Q4_K") options.quantised = diptych::Dtype::Q4_K;
  diptych::random_checkpoint::WriteRandomCheckpoint(folder, sizes, options);
  std::cerr << "random checkpoint written to " << folder << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "diptych-random-checkpoint: " << error.what() << "\n";
    return 1;
  }
}
