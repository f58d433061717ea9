// Typed calls to an encoder.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/net/credentials.h"
#include "common/prompt/encode_input.h"
#include "coordinator/client/call_stop.h"
#include "coordinator/client/job.h"
#include "coordinator/client/peer_address.h"

namespace diptych {

struct EncodeOrder {
  PromptParts prompt;
  int32_t layer = -2;
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  int64_t row_limit = 0;  // 0: none
  // As it described itself: rows of another model, tokenizer, number format or width are refused. None: any.
  std::optional<EncoderDescription> encoder = std::nullopt;
};

struct EncodeOutcome {
  Conditioning conditioning;  // whole and checked
  std::string formatted_text;
  double encode_ms = 0;  // as the encoder measured it
};

// Thread-safe. Statuses are the service's own (encoder.proto), and UNAVAILABLE or DEADLINE_EXCEEDED naming the address
// when nobody answers. What an encoder says is compared with what is known here, as the renderer does (common/wire/
// encode_stream.h).
class EncoderClient {
 public:
  // Like RenderClient::Make. `timeout` is for Describe; Encode takes as long as the model does.
  static absl::StatusOr<std::unique_ptr<EncoderClient>> Make(const std::string& address, const Credentials& credentials,
                                                             std::chrono::milliseconds timeout);
  ~EncoderClient();

  // FAILED_PRECONDITION for a description that is out of bounds.
  absl::StatusOr<EncoderDescription> Describe() const;

  // DATA_LOSS for a broken stream, or rows of something else than was asked for; FAILED_PRECONDITION for another width,
  // layer or mode. An encoder that is full is asked again when it says, from 50 ms to 5 s later. `stop` (may be null)
  // ends the call, and with it the work.
  absl::StatusOr<EncodeOutcome> Encode(const EncodeOrder& order, CallStop* stop) const;

 private:
  struct Stub;
  absl::StatusOr<EncodeOutcome> EncodeOnce(const EncodeOrder& order, const EncodeInput& input, CallStop* stop) const;
  EncoderClient(PeerAddress peer, std::chrono::milliseconds timeout, std::unique_ptr<Stub> stub);

  const PeerAddress peer_;
  const std::chrono::milliseconds timeout_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace diptych
