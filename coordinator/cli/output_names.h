// Where the pictures of one command go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/cli/output_form.h"
#include "coordinator/cli/output_pattern.h"

namespace diptych {

// The pictures of one prompt, and where it wants them.
struct PromptOutputs {
  std::vector<PictureFacts> pictures;  // at least one
  std::vector<std::string> own = {};   // empty: no wish of its own
  std::string place = {};              // of the prompt: "prompts.jsonl:3"; empty: the command line
};

struct OutputName {
  std::filesystem::path path;
  PictureFormat format = PictureFormat::kPng;
  bool chosen = false;  // the user did not spell it out: it must not take the place of a file that is there

  bool operator==(const OutputName&) const = default;
};

// What --output says, and how what is named is written.
struct OutputWish {
  std::vector<std::string> outputs;  // empty: not given
  OutputForm form;
};

OutputWish ReadOutputWish(const Settings& settings);

// A name for every picture of every prompt, in order.
//
// A prompt with as many outputs of its own as pictures has these; with one and several pictures FILE.png stands for
// FILE-1.png to FILE-N.png. The others share the command's outputs by the same rule, where the number is that of the
// picture in the whole command. An output may be
//   FILE.png         spelled out: a picture that is there is replaced,
//   a pattern        with fields; two pictures or an earlier file of the same name: NAME-1.png and so on,
//   a folder         that is there, or with "/" at its end: output.png in it, by the rule for no output,
//   none             output.png; where that or output-N.png is there already, the numbers go on.
// Only --overwrite lets a name of the last three kinds take the place of a file.
// Throws UsageError for any other number of outputs, an empty name, a file twice, and a name of another format.
std::vector<OutputName> NameOutputs(const OutputWish& wish, const std::vector<PromptOutputs>& prompts);

// The next name after one that turned out to be taken: FILE-8.png for FILE-7.png, FILE-1.png for FILE.png.
std::filesystem::path NextName(const std::filesystem::path& taken);

// Previews are JPEG files. Throws UsageError for another ending; empty: none are wanted.
void CheckPreviewName(const std::string& name);

}  // namespace diptych
