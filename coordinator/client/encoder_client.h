// Typed calls to an encoder.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/client/call_stop.h"
#include "coordinator/client/job.h"

namespace diptych {

struct EncodeOrder {
  PromptParts prompt;
  int32_t layer = -2;
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  int64_t row_limit = 0;  // 0: none
};

struct EncodeOutcome {
  Conditioning conditioning;  // whole and checked
  std::string formatted_text;
  double encode_ms = 0;  // as the encoder measured it
};

// Thread-safe. Statuses are the service's own (encoder.proto), and UNAVAILABLE or DEADLINE_EXCEEDED naming the address
// when nobody answers.
class EncoderClient {
 public:
  // Like RenderClient::Make. `timeout` is for Describe; Encode takes as long as the model does.
  static absl::StatusOr<std::unique_ptr<EncoderClient>> Make(const std::string& address, bool insecure,
                                                             std::chrono::milliseconds timeout);
  ~EncoderClient();

  absl::StatusOr<EncoderDescription> Describe() const;

  // DATA_LOSS for a broken stream. `stop` (may be null) ends the call, and with it the work.
  absl::StatusOr<EncodeOutcome> Encode(const EncodeOrder& order, CallStop* stop) const;

 private:
  struct Stub;
  EncoderClient(std::string address, std::chrono::milliseconds timeout, std::unique_ptr<Stub> stub);

  const std::string address_;
  const std::chrono::milliseconds timeout_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace diptych
