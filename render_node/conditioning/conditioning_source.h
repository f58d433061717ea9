// Where the renderer gets conditioning from: an encoder somewhere. No libtorch and no protocol here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/concurrency/cancel_token.h"
#include "common/conditioning/conditioning.h"
#include "common/prompt/prompt_parts.h"

namespace diptych {

struct FetchRequest {
  PromptParts prompt;
  int32_t layer = -2;
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  int64_t row_limit = 0;    // most rows that the DiT takes
  std::string job_id;       // for the log only
  int64_t token_limit = 0;  // more are refused before the work (kInvalidArgument); 0: none
  std::string client = {};  // whose job it is, for the encoder's turns
};

struct FetchResult {
  Conditioning conditioning;
  double encode_ms = 0;     // as the encoder measured it; from 0 to the whole call
  double transfer_ms = 0;   // the whole call less encode_ms
  bool from_store = false;  // no encoder was asked for this call; both times are 0
};

// Thread-safe.
class ConditioningSource {
 public:
  virtual ~ConditioningSource() = default;

  // Blocks until the conditioning is here, whole and checked. How often and how long an unreachable encoder is tried
  // again is the source's business; `on_waiting` gets one line on what is being waited for, on the calling thread, and
  // an empty one once an encoder seems to work on it again.
  // Throws Error: kUnavailable with the reason when no encoder answers, kFailedPrecondition (an encoder of another
  // model), kInvalidArgument (the encoder refuses the prompt), kDataLoss (broken streams), kCancelled soon after
  // `cancel` is set.
  virtual FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                            const std::function<void(const std::string& reason)>& on_waiting) = 0;

  // Whether Fetch would need no encoder for this. Cheap.
  virtual bool Has(const FetchRequest& request) const {
    static_cast<void>(request);
    return false;
  }
};

}  // namespace diptych
