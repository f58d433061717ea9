// The checks of `diptych doctor`. None of them throws: what goes wrong is a finding.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/memory/memory_facts.h"
#include "coordinator/cli/command_options.h"

namespace diptych {

struct Check {
  bool ok = false;
  std::string what;    // "transformer"
  std::string found;   // one line
  std::string advice;  // what to do about a problem; empty where `found` says it
};

void CheckPrograms(const std::filesystem::path& program_folder, std::vector<Check>& checks);

// Matrix instructions and cores. `threads`: as configured, 0 for the default.
void CheckMachine(int64_t threads, std::vector<Check>& checks);

// Files, configurations, and whether text encoder and transformer belong together.
void CheckCheckpoint(const PrivateOptions& options, std::vector<Check>& checks);

// Whether the checkpoint fits into the memory of this machine.
void CheckMemory(const PrivateOptions& options, const MemoryFacts& memory, std::vector<Check>& checks);

// What the files of TLS hold, if any are named. False: they do not fit.
bool CheckCredentials(const Credentials& credentials, std::vector<Check>& checks);

// The renderer and its encoders.
void CheckRenderer(const ConnectionOptions& connection, std::vector<Check>& checks);

}  // namespace diptych
