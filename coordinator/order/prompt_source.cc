#include "coordinator/order/prompt_source.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "common/prompt/prompt_text.h"
#include "coordinator/order/wrong_wish.h"
#include "coordinator/text_input.h"

namespace diptych {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;
constexpr size_t kMaxPromptBytes = size_t{1} << 20;  // what an encoder takes at most

// Without one line end at its end.
std::string ReadOnePrompt(const std::string& file, const InputSource& source) {
  std::string text = ReadInput(file, kMaxPromptBytes, source);
  try {
    text = std::string(PlainText(text, InputName(file)));
    CheckUtf8(InputName(file), text);
  } catch (const Error& error) {
    throw WrongWish(error.what());
  }
  if (text.find_first_not_of(" \t\r\n\v\f") == text.npos) {
    throw WrongWish(absl::StrCat(InputName(file), " holds no prompt (an empty prompt is written \"\")"));
  }
  if (text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

// Standard input can be read once.
void CheckReaders(const std::optional<std::string>& argument, const Settings& settings) {
  std::vector<std::string> readers;
  if (argument == kStandardInput) readers.emplace_back("PROMPT");
  const auto look = [&](const Option<std::string>& option) {
    if (settings.IsSet(option) && settings.Get(option) == kStandardInput) readers.emplace_back(option.info.flag);
  };
  look(options::kPromptFile);
  look(options::kConversation);
  look(options::kPrompts);
  look(options::kFromPicture);
  look(options::kLoadEmbeddings);
  look(options::kImg2Img);
  look(options::kInpaint);
  look(options::kMask);
  if (readers.size() > 1) {
    throw WrongWish(absl::StrCat(readers[0], " and ", readers[1], " are both \"-\", and standard input is one"));
  }
}

}  // namespace

std::optional<std::string> ReadPromptText(const std::optional<std::string>& argument, const Settings& settings,
                                          const InputSource& source) {
  CheckReaders(argument, settings);
  const std::string& file = settings.Get(options::kPromptFile);
  if (!file.empty() && argument) throw WrongWish("PROMPT and --prompt-file exclude each other: the file is the prompt");
  if (!file.empty()) return ReadOnePrompt(file, source);
  return argument == kStandardInput ? ReadOnePrompt(kStandardInput, source) : argument;
}

std::string ReadPrompts(const std::string& file, const InputSource& source) {
  return ReadInput(file, kMaxFileBytes, source);
}

}  // namespace diptych
