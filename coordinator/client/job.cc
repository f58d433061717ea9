#include "coordinator/client/job.h"

namespace diptych {

std::string_view JobStateText(JobView::State state) {
  switch (state) {
    case JobView::State::kQueued:
      return "queued";
    case JobView::State::kEncoding:
      return "encoding";
    case JobView::State::kReady:
      return "ready";
    case JobView::State::kRendering:
      return "rendering";
    case JobView::State::kDecoding:
      return "decoding";
    case JobView::State::kDone:
      return "done";
    case JobView::State::kFailed:
      return "failed";
    case JobView::State::kCancelled:
      return "cancelled";
    case JobView::State::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace diptych
