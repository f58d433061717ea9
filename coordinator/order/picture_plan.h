// All pictures of one command: every prompt with each of its seeds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "coordinator/order/picture_order.h"
#include "coordinator/order/prompt_file.h"

namespace diptych {

struct PlannedPrompt {
  std::string place;  // of its line in the file: "prompts.jsonl:3"; empty: the command line
  PictureOrder order;
  std::vector<std::string> outputs;  // that its line names; may be empty
};

struct PlannedPicture {
  size_t prompt = 0;  // which one
  uint64_t seed = 0;
  bool seed_drawn = false;  // at random, since nobody gave one
};

struct PicturePlan {
  std::vector<PlannedPrompt> prompts;
  std::vector<PlannedPicture> pictures;  // in the order in which they are made
  std::vector<std::string> notes;        // what the user should know, one line each
  bool is_list = false;                  // the command gives a list, if only of one

  const PictureOrder& OrderOf(size_t index) const { return prompts[pictures[index].prompt].order; }

  // What to ask for. The idempotency key is the user's, with the picture's number behind it when there are several.
  PictureRequest Request(size_t index) const;

  // The picture's prompt as the user gave it; of a conversation its JSON; empty when it has none.
  std::string PromptText(size_t index) const;

  // "picture 3 of 40"
  std::string Label(size_t index) const;

  // Who asks for all of them. Throws WrongWish as CheckClient.
  void SetClient(const std::string& name);
};

// The pictures of `prompt`, or (where the settings name a prompt file) of its `lines`: what a line says goes before the
// flags. Reads the files that the settings name. Throws WrongWish and Error as MakeOrder, with the line's place in
// front, and WrongWish for more than kMaxPictures pictures.
PicturePlan PlanPictures(const std::optional<std::string>& prompt, const std::vector<PromptLine>& lines,
                         const Settings& settings, const DrawSeed& draw_seed, const InputSource& source = {});

// The same, with the lines of the settings' prompt file, or else the prompt that `argument` (PROMPT) and settings name.
// Throws what ParsePromptFile, ReadPrompts and ReadPromptText throw as well, and WrongWish for flags that do not go
// with a prompt file.
PicturePlan ReadPlan(const std::optional<std::string>& argument, const Settings& settings, const InputSource& source);

// Fills in what was left open, as the renderer's model has it. Returns what the user should know: notes of the orders,
// and one line for words that the model does not know. Throws as Complete.
std::vector<std::string> CompletePlan(const RendererDescription& renderer, PicturePlan& plan);

}  // namespace diptych
