// generate --save-embeddings: encode only.
#pragma once

#include <optional>
#include <string>

#include "coordinator/cli/command_options.h"
#include "coordinator/cli/environment.h"
#include "coordinator/order/prompt_options.h"

namespace diptych {

struct SaveEmbeddingsOrder {
  PromptParts prompt;
  std::optional<PromptParts> negative;  // set: saved as well, for guidance
  int32_t layer = -2;
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  std::string file;
  bool json = false;
};

// Starts an encoder, asks it, writes the files and prints what is in them. Returns the exit status; throws Error.
int RunSaveEmbeddings(const SaveEmbeddingsOrder& order, const PrivateOptions& options, Environment& environment);

// Most rows that the checkpoint's transformer takes, so that saved rows are those that it would have been sent; 0 (no
// limit) for a checkpoint without transformer. Throws Error(kInvalidArgument) for a configuration that cannot be read.
int64_t RowLimit(const PrivateOptions& options);

}  // namespace diptych
