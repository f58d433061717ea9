#include "coordinator/order/picture_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "common/prompt/conversation.h"
#include "coordinator/order/prompt_source.h"
#include "coordinator/order/seed_list.h"
#include "coordinator/order/wrong_wish.h"

namespace diptych {
namespace {

bool Says(const PromptLine& line, const OptionInfo& info) {
  return std::any_of(line.values.begin(), line.values.end(), [&](const auto& change) { return change.first == &info; });
}

// The line's own choice of seeds stands in place of the flags', however either is made.
Settings SettingsOf(const PromptLine& line, const Settings& flags) {
  std::vector<Settings::Change> changes;
  if (Says(line, options::kSeeds.info)) {
    changes = {{&options::kSeed.info, std::nullopt}, {&options::kCount.info, std::nullopt}};
  } else if (Says(line, options::kSeed.info) || Says(line, options::kCount.info)) {
    changes = {{&options::kSeeds.info, std::nullopt}};
  }
  // The outputs among the flags are for all lines together.
  if (!Says(line, options::kOutput.info)) changes.emplace_back(&options::kOutput.info, std::nullopt);
  changes.insert(changes.end(), line.values.begin(), line.values.end());
  return flags.With(changes);
}

PlannedPrompt PlanPrompt(const std::optional<std::string>& prompt, const Settings& settings, const DrawSeed& draw_seed,
                         const InputSource& source) {
  PictureOptions options = ReadPictureOptions(settings);
  const size_t outputs = settings.Get(options::kOutput).size();
  // Several outputs ask for as many pictures.
  if (!options.count_given && outputs > 1) options.count = static_cast<int64_t>(outputs);
  return {.place = {}, .order = MakeOrder(prompt, options, draw_seed, source), .outputs = {}};
}

PlannedPrompt PlanLine(const PromptLine& line, const Settings& flags, const DrawSeed& draw_seed,
                       const InputSource& source) {
  const Settings settings = SettingsOf(line, flags);
  PlannedPrompt planned;
  try {
    planned = PlanPrompt(line.prompt, settings, draw_seed, source);
  } catch (const WrongWish& error) {
    throw WrongWish(absl::StrCat(line.place, ": ", error.what()));
  } catch (const Error& error) {
    throw Error(error.code(), absl::StrCat(line.place, ": ", error.what()));
  }
  planned.place = line.place;
  if (Says(line, options::kOutput.info)) planned.outputs = settings.Get(options::kOutput);
  return planned;
}

// Of many prompts that have the same note one is enough, with the first one's place.
void TakeNotes(const PlannedPrompt& planned, std::vector<std::string>& seen, std::vector<std::string>& notes) {
  for (const std::string& note : planned.order.notes) {
    if (std::find(seen.begin(), seen.end(), note) != seen.end()) continue;
    seen.push_back(note);
    notes.push_back(planned.place.empty() ? note : absl::StrCat(planned.place, ": ", note));
  }
}

// The words of a text in lower case: runs of letters.
std::vector<std::string> WordsOf(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalpha(byte) || byte >= 0x80) {  // of other alphabets all are letters
      words.back() += absl::ascii_tolower(byte);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// One line, or none.
void NoteUnknownWords(const ModelDefaultsView& model, const PicturePlan& plan, std::vector<std::string>& notes) {
  if (model.words.empty()) return;
  constexpr size_t kMostNamed = 8;
  const std::set<std::string> known(model.words.begin(), model.words.end());
  std::vector<std::string> unknown;
  for (const PlannedPrompt& planned : plan.prompts) {
    const std::optional<PromptParts>& prompt = planned.order.request.prompt;
    if (!prompt) continue;
    for (const std::string& word : WordsOf(prompt->user)) {
      const std::string quoted = absl::StrCat("\"", word, "\"");
      if (!known.contains(word) && std::find(unknown.begin(), unknown.end(), quoted) == unknown.end()) {
        unknown.push_back(quoted);
      }
    }
  }
  if (unknown.empty()) return;
  const size_t more = unknown.size() - std::min(unknown.size(), kMostNamed);
  unknown.resize(unknown.size() - more);
  std::string note = absl::StrCat("this model does not know ", absl::StrJoin(unknown, ", "));
  if (more > 0) absl::StrAppend(&note, " and ", more, " more words");
  absl::StrAppend(&note, ", and paints anything for it");
  // Where the model's folder is, its user knows; it may be on another machine.
  const std::string& described = model.words_described_in;
  const bool is_address = absl::StrContains(described, "://");
  absl::StrAppend(&note, "; diptych nodes --json lists its words");
  if (!described.empty()) {
    absl::StrAppend(&note, ", ", described, is_address ? "" : " in the model's folder", " describes them");
  }
  notes.push_back(std::move(note));
}

void CheckFlagsBesideAFile(const std::optional<std::string>& prompt, const Settings& settings) {
  const auto refuse = [](const std::string& what, const std::string& reason) {
    throw WrongWish(absl::StrCat("--prompts and ", what, " exclude each other: ", reason));
  };
  if (prompt) refuse("PROMPT", "the file's lines are the prompts");
  if (settings.IsSet(options::kPromptFile))
    refuse("--prompt-file", "the one holds a prompt a line, the other one prompt");
  if (settings.IsSet(options::kConversation)) refuse("--conversation", "the file's lines are the prompts");
  if (settings.IsSet(options::kFromPicture)) refuse("--from-picture", "a picture has its own prompt");
  if (settings.IsSet(options::kLoadEmbeddings)) refuse("--load-embeddings", "embeddings have their own prompt");
}

}  // namespace

PictureRequest PicturePlan::Request(size_t index) const {
  PictureRequest request = OrderOf(index).request;
  request.seed = pictures[index].seed;
  if (!request.idempotency_key.empty() && pictures.size() > 1)
    absl::StrAppend(&request.idempotency_key, "#", index + 1);
  return request;
}

std::string PicturePlan::PromptText(size_t index) const {
  const std::optional<PromptParts>& prompt = OrderOf(index).request.prompt;
  if (!prompt) return "";
  return prompt->conversation_json.empty() ? prompt->user : prompt->conversation_json;
}

std::string PicturePlan::Label(size_t index) const {
  return absl::StrCat("picture ", index + 1, " of ", pictures.size());
}

void PicturePlan::SetClient(const std::string& name) {
  CheckClient(name);
  for (PlannedPrompt& planned : prompts) planned.order.request.client = name;
}

PicturePlan PlanPictures(const std::optional<std::string>& prompt, const std::vector<PromptLine>& lines,
                         const Settings& settings, const DrawSeed& draw_seed, const InputSource& source) {
  PicturePlan plan;
  std::vector<std::string> seen_notes;
  const auto add = [&](PlannedPrompt planned) {
    const PictureOrder& order = planned.order;
    if (order.seeds.size() > kMaxPictures - plan.pictures.size()) {
      throw WrongWish(absl::StrCat(planned.place, planned.place.empty() ? "" : ": ", "more than ", kMaxPictures,
                                   " pictures, the limit for one command"));
    }
    for (const uint64_t seed : order.seeds) {
      const bool is_first = seed == order.seeds.front();
      plan.pictures.push_back({plan.prompts.size(), seed, is_first && order.seed_drawn});
    }
    TakeNotes(planned, seen_notes, plan.notes);
    plan.prompts.push_back(std::move(planned));
  };
  if (settings.IsSet(options::kPrompts)) {
    for (const PromptLine& line : lines) add(PlanLine(line, settings, draw_seed, source));
  } else {
    add(PlanPrompt(prompt, settings, draw_seed, source));
  }
  plan.is_list = plan.pictures.size() > 1 || settings.IsSet(options::kPrompts) || settings.IsSet(options::kSeeds);
  return plan;
}

PicturePlan ReadPlan(const std::optional<std::string>& argument, const Settings& settings, const InputSource& source) {
  std::vector<PromptLine> lines;
  std::vector<std::string> notes;
  std::optional<std::string> prompt = argument;
  if (settings.IsSet(options::kPrompts)) {
    CheckFlagsBesideAFile(prompt, settings);
    const std::string& file = settings.Get(options::kPrompts);
    lines = ParsePromptFile(ReadPrompts(file, source), InputName(file), &notes);
  } else {
    prompt = ReadPromptText(argument, settings, source);
  }
  PicturePlan plan = PlanPictures(prompt, lines, settings, RandomSeed, source);
  plan.notes.insert(plan.notes.begin(), notes.begin(), notes.end());
  return plan;
}

std::vector<std::string> CompletePlan(const RendererDescription& renderer, PicturePlan& plan) {
  std::vector<std::string> notes, seen;
  for (PlannedPrompt& planned : plan.prompts) {
    planned.order.notes.clear();  // they have been told
    Complete(renderer, planned.order);
    TakeNotes(planned, seen, notes);
  }
  NoteUnknownWords(renderer.defaults, plan, notes);
  return notes;
}

}  // namespace diptych
