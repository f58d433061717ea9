#include "coordinator/cli/command_plan.h"

#include "common/prompt/conversation.h"
#include "coordinator/cli/caller_name.h"

namespace diptych {

PicturePlan ReadCommandPlan(const std::optional<std::string>& argument, const Settings& settings,
                            const Environment& environment) {
  PicturePlan plan = ReadPlan(argument, settings, environment.Input());
  plan.SetClient(CallerName(settings));
  return plan;
}

std::vector<OutputName> NamePictures(const PicturePlan& plan, const OutputWish& wish, int64_t unix_s) {
  std::vector<PromptOutputs> prompts;
  for (const PlannedPrompt& planned : plan.prompts) prompts.push_back({{}, planned.outputs, planned.place});
  for (size_t i = 0; i < plan.pictures.size(); ++i) {
    const PictureOrder& order = plan.OrderOf(i);
    const PictureRequest& request = order.request;
    prompts[plan.pictures[i].prompt].pictures.push_back({.index = i + 1,
                                                         .pictures = plan.pictures.size(),
                                                         .seed = plan.pictures[i].seed,
                                                         .prompt = request.prompt ? ShownPrompt(*request.prompt) : "",
                                                         .width = order.fit ? order.fit->width : request.width,
                                                         .height = order.fit ? order.fit->height : request.height,
                                                         .steps = request.steps,
                                                         .unix_s = unix_s});
  }
  return NameOutputs(wish, prompts);
}

}  // namespace diptych
