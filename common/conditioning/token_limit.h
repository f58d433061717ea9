// The words for a prompt of more tokens than an operator allows: the encoder says them before the work, the renderer
// where the rows are there already.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/error/error.h"

namespace diptych {

inline std::string AllowedTokensText(int64_t limit) {
  return " tokens; this renderer allows at most " + std::to_string(limit) + " (render.max_prompt_tokens)";
}

// `what`: "prompt" or "negative prompt". 0: no limit. Throws Error(kInvalidArgument) naming both numbers.
inline void CheckTokenLimit(const std::string& what, int64_t tokens, int64_t limit) {
  if (limit == 0 || tokens <= limit) return;
  throw Error(ErrorCode::kInvalidArgument, "the " + what + " has " + std::to_string(tokens) + AllowedTokensText(limit));
}

// An encoder knows neither whose limit it keeps nor which of a job's prompts it has: of the message with which it
// refused a prompt for this limit the number of tokens; nullopt for any other message.
inline std::optional<int64_t> TokensRefused(std::string_view message, int64_t limit) {
  constexpr std::string_view kBegin = "the prompt has ";
  const size_t begin = message.find(kBegin);
  if (limit == 0 || begin == message.npos) return std::nullopt;
  message.remove_prefix(begin + kBegin.size());
  int64_t tokens = 0;
  const auto [end, error] = std::from_chars(message.data(), message.data() + message.size(), tokens);
  if (error != std::errc() || tokens <= limit) return std::nullopt;
  message.remove_prefix(static_cast<size_t>(end - message.data()));
  const std::string rest = AllowedTokensText(limit);
  return message.substr(0, rest.size()) == rest ? std::optional(tokens) : std::nullopt;
}

}  // namespace diptych
