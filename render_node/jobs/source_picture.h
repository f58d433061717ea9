// What a job's picture begins as: its inputs, made ready for the painter.
#pragma once

#include <optional>

#include "common/concurrency/pause.h"
#include "common/picture/picture_spec.h"
#include "common/picture/prepare_source.h"
#include "render_node/jobs/input_store.h"

namespace diptych {

SourcePlan SourcePlanOf(const PictureSpec& spec);

// At a glance, before the job is accepted: the inputs are pictures that are read, within the limits, and of one size.
// Throws Error(kInvalidArgument or kDataLoss) whose message begins with the role.
void CheckInputs(const PictureSpec& spec, const InputStore& inputs);

// Whether what LoadSource makes of it takes at most 64 MiB: so much may lie ready beside each job that waits for the
// painter. Throws Error likewise for an input that is gone or damaged. False: the spec names no source.
bool IsSmallSource(const PictureSpec& spec, const InputStore& inputs);

// Decodes and prepares. nullopt: the spec names no source. Throws Error likewise, kDataLoss for an input that is gone,
// and what PrepareSource throws.
std::optional<PreparedSource> LoadSource(const PictureSpec& spec, const InputStore& inputs, const Pause& pause);

}  // namespace diptych
