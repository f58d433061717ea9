// The client's types <-> their messages. Included by the clients' .cc files only.
#pragma once

#include "coordinator/client/job.h"
#include "diptych/v1/encoder.pb.h"
#include "diptych/v1/job.pb.h"
#include "diptych/v1/render.pb.h"

namespace diptych {

// Texts are bounded and on one line each.
QueuePause PauseFromMessage(const v1::QueuePause& pause);
JobView JobFromMessage(const v1::Job& job);
RendererDescription DescriptionFromMessage(const v1::DescribeRendererResponse& response);

}  // namespace diptych
