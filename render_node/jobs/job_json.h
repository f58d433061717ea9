// A job's specification, timings and the fit of its prompts as JSON: how they lie in the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "render_node/jobs/job.h"

namespace diptych {

// Keys are those of diptych.v1; unset optional values are left out. The texts must be UTF-8 (ValidateSpec).
std::string SpecToJson(const JobSpec& spec);
// With shortened prompts (ShortenPrompts); nullopt: nothing has to be left out.
std::optional<std::string> ShortenedJson(JobSpec spec);
// How the text stands inside of one of the strings of SpecToJson; nullopt for what is not UTF-8.
std::optional<std::string> InsideOfJson(const std::string& text);
std::string TimingsToJson(const JobTimings& timings);
std::string FitsToJson(const PromptFits& fits);

// Throw Error(kDataLoss) naming what is wrong. A key that is not there leaves the default; a time that is null is 0.
JobSpec SpecFromJson(std::string_view json);
JobTimings TimingsFromJson(std::string_view json);
PromptFits FitsFromJson(std::string_view json);

}  // namespace diptych
