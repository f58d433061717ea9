// Results as lines, for people and for scripts.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/client/job.h"

namespace diptych {

// "queue 0.00 s, encode 0.31 s, ..., 9 steps of 0.41 s, decode 0.22 s, png 0.01 s, total 4.32 s"
std::string TimingsLine(const JobTimings& timings);

// "the prompt was truncated: 700 tokens, 512 rows (truncate, r = 1.37)", `which` being "prompt"; nothing when no row is
// missing.
std::optional<std::string> ShortenedPrompt(const std::string& which, const PromptFit& fit, LongPromptMode mode);

// One line for each prompt of which the renderer took fewer rows than it has tokens; usually none.
std::vector<std::string> ShortenedPrompts(const JobView& job);

// A list that is separated by ", " on as many lines as it takes, each with `indent` in front and at most so many
// columns wide where an item is no longer than that; on one line where `columns` is 0.
std::string Wrapped(const std::string& list, size_t columns, const std::string& indent);

// Lines of our own that are wider than a terminal, each on as many as it takes, broken between words; what follows
// stands below the line's second part, "  memory       12 MB of ...". As it is where `columns` is 0. Words that are
// wider themselves stay whole.
std::string Reflowed(const std::string& text, size_t columns);

// As much of the text as a terminal shows in `columns` columns, a space in place of each control character; "..."
// stands for the rest. UTF-8 stays whole.
std::string OneLine(const std::string& text, size_t columns);

// The columns of the whole text on a terminal: two for a wide character, none for a combining one.
size_t TextColumns(const std::string& text);

// "2026-11-21T12:34:56+00:00", local time.
std::string LocalTime(int64_t unix_ms);

// The JSON on one line with whatever is not UTF-8 replaced, and with controls (common/foreign_text/escape.h) as \u009b:
// JSON of the same value, which a terminal shows and does not obey. A line break follows.
std::string JsonLine(const nlohmann::ordered_json& json);

}  // namespace diptych
