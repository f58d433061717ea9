// Groups of options that several commands read.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/net/credentials.h"
#include "common/receipt/receipt.h"
#include "coordinator/client/render_client.h"
#include "coordinator/private_nodes.h"

namespace diptych {

// How to reach a renderer.
struct ConnectionOptions {
  std::string render;        // HOST:PORT; empty: none configured
  bool render_flag = false;  // the user said so on this command line
  Credentials credentials;
  std::chrono::milliseconds timeout{30000};
};
ConnectionOptions ReadConnection(const Settings& settings);

// Throws UsageError when no renderer is configured, or the address is malformed or not allowed.
std::unique_ptr<RenderClient> ConnectToRenderer(const ConnectionOptions& connection);

// Which checkpoint to open on this machine, and how.
struct PrivateOptions {
  std::string model_path;  // empty: none configured
  bool model_flag = false;
  std::vector<std::string> given_flags;                       // of these options, on this command line: "--vae-path"
  std::string text_encoder_path, transformer_path, vae_path;  // empty: the checkpoint's
  std::string torch_dtype;                                    // empty: not given
  int64_t threads = 0;
  std::vector<std::string> encoder_flags, renderer_flags;  // "--dit-device=cuda": what else was given, handed on
  std::string config, profile;                             // handed on; empty: none
  std::string configuration;                               // which file is read, and why
  std::string log_level;

  bool verbose() const { return log_level == "debug"; }
  std::filesystem::path TokenizerPlace() const;     // where the encoder looks for it; for LoadTokenizer
  std::filesystem::path TransformerConfig() const;  // of the transformer; may not exist
};
PrivateOptions ReadPrivate(const Settings& settings);

// Before anything is started: throws Error for a checkpoint that is not there (kNotFound) or is none
// (kInvalidArgument), and for a daemon's program that is not there (kNotFound).
void CheckPrivate(const PrivateOptions& options, const std::filesystem::path& program_folder);

// The daemons for these options; what they leave open is as in `receipt` (null: the daemons' choice): number formats
// and, when no flag speaks of tiles, how the VAE decodes.
PrivateNodesPlan PlanPrivateNodes(const PrivateOptions& options, const std::filesystem::path& program_folder,
                                  const Receipt* receipt);

}  // namespace diptych
