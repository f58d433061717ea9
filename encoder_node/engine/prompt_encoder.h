// The encoder as its service sees it: an input in, hidden states out. No libtorch and no protocol here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/concurrency/pause.h"
#include "common/conditioning/conditioning.h"
#include "common/memory/machine_facts.h"
#include "common/prompt/encode_input.h"
#include "common/source_files/model_news.h"

namespace diptych {

// What is loaded; does not change while the process lives.
struct EncoderFacts {
  std::string model_fingerprint;      // 64 hex digits
  std::string tokenizer_fingerprint;  // 64 hex digits
  int64_t width = 0;                  // hidden_size
  int32_t layers = 0;                 // num_hidden_layers; legal layer indices are -1 .. -(layers + 1)
  StateDtype dtype = StateDtype::kBFloat16;
  int32_t threads = 0;
  std::string device;                 // "cpu" or "cuda"
  std::vector<std::string> warnings;  // about the checkpoint, for the log; one line each
  std::vector<std::string> notes;     // on what was chosen, for the log; one line each
  MachineFacts machine;
};

struct EncodeParameters {
  int32_t layer = -2;
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  int64_t row_limit = 0;    // 0: no limit
  int64_t token_limit = 0;  // a prompt of more is refused before the work; 0: no limit
};

// Thread-safe, and without a line of its own: calls at once work at once, on the same cores. Who works is decided in
// one place, turn_queue.h: who calls holds a turn, and lets others in when `pause` is called.
class PromptEncoder {
 public:
  virtual ~PromptEncoder() = default;

  virtual const EncoderFacts& facts() const = 0;

  // `pause` is called now and then, about each second or more often; what it throws ends the work, and while it blocks
  // another call may work. Throws Error: kInvalidArgument (text is not UTF-8, layer out of range, negative limit, more
  // tokens than are allowed or the model takes), kUnavailable (as ThrowIfChanged; no rows of other weights than the
  // facts say get out).
  virtual Conditioning Encode(const EncodeInput& input, const EncodeParameters& parameters, const Pause& pause) = 0;

  // What the text model reads; for the log. Throws Error(kInvalidArgument) for text that is not UTF-8.
  virtual std::vector<int64_t> TokenIds(const EncodeInput& input) const = 0;

  // Throws Error(kUnavailable) naming the file while the model's files are not what they were when it was loaded.
  virtual void ThrowIfChanged() {}
  // The same for somebody who looks now and then.
  virtual ModelNews LookAtFiles() { return {}; }
};

}  // namespace diptych
