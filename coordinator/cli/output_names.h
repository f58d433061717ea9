// Where the pictures of one command go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace diptych {

// The pictures of one prompt, and where it wants them.
struct PromptOutputs {
  size_t pictures = 1;
  std::vector<std::string> own = {};  // empty: no wish of its own
  std::string place = {};             // of the prompt: "prompts.jsonl:3"; empty: the command line
};

// A name for every picture of every prompt, in order. A prompt with as many outputs of its own as pictures has these;
// with one and several pictures FILE.png stands for FILE-1.png to FILE-N.png. The others share `outputs` by the same
// rule, where the number is that of the picture in the whole command.
// Throws UsageError for any other number of outputs, an empty name, a file twice, and a name that is a folder.
std::vector<std::filesystem::path> NameOutputs(const std::vector<std::string>& outputs,
                                               const std::vector<PromptOutputs>& prompts);

// Of one prompt. How many pictures: `count` when it was given, else one for each output.
std::vector<std::filesystem::path> NameOutputs(const std::vector<std::string>& outputs, int64_t count,
                                               bool count_given);

// Previews are JPEG files. Throws UsageError for another ending; empty: none are wanted.
void CheckPreviewName(const std::string& name);

}  // namespace diptych
