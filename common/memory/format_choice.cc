#include "common/memory/format_choice.h"

#include "common/error/error.h"

namespace diptych {
namespace {

std::string Weights(const FormatNeed& need) {
  std::string text = BytesText(need.copied) + " of memory";
  if (need.mapped > 0) text += " and " + BytesText(need.mapped) + " in mapped files";
  return text;
}

std::string Beside(uint64_t bytes) { return bytes == 0 ? "" : ", " + BytesText(bytes) + " for the encoder beside it"; }

}  // namespace

FormatChoice ChooseFormat(const FormatQuestion& question, const std::optional<MemoryRoom>& room) {
  const std::vector<FormatNeed>& needs = question.by_format;
  const auto fits = [&](uint64_t bytes) { return !room || bytes <= room->bytes; };
  const auto mapped = [&](const FormatNeed& need) { return room && room->without_mapped_files ? 0 : need.mapped; };
  const auto whole = [&](const FormatNeed& need) { return need.copied + mapped(need) + need.work; };
  size_t chosen = 0;
  while (chosen < needs.size() && !fits(whole(needs[chosen]) + question.beside)) ++chosen;
  // Where it is tight the narrowest comes first.
  const auto narrowest = [&](const auto& bytes_of) {
    for (size_t i = needs.size(); chosen == needs.size() && i-- > 0;) {
      if (fits(bytes_of(needs[i]))) chosen = i;
    }
  };
  narrowest(whole);
  narrowest([](const FormatNeed& need) { return need.copied + need.work; });
  narrowest([](const FormatNeed& need) { return need.copied; });
  if (chosen == needs.size()) {
    const FormatNeed& least = needs.back();
    throw Error(ErrorCode::kResourceExhausted, question.what + " in " + least.format + ": " + Weights(least) +
                                                   " needed, available " + RoomText(*room) +
                                                   (question.way_out.empty() ? "" : "; " + question.way_out));
  }
  const FormatNeed& need = needs[chosen];
  FormatChoice choice{.index = chosen, .line = "", .warning = ""};
  choice.line = question.what + " in " + need.format + ": " + Weights(need) + ", " + BytesText(need.work) +
                " to compute" + Beside(question.beside);
  if (room) choice.line += "; available " + RoomText(*room);
  if (chosen > 0) choice.line += "; " + needs[0].format + " needs " + Weights(needs[0]);
  if (room && mapped(need) > 0 && whole(need) > room->bytes) {
    choice.warning = question.what + ": mapped files of " + BytesText(need.mapped) + ", available memory " +
                     RoomText(*room) + ": parts are read from disk again and again, which is slow";
  }
  return choice;
}

}  // namespace diptych
