// Pulls conditioning from encoder daemons: several hosts that stand in for each other. Anything else that one asks an
// encoder goes the same way.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "common/net/address.h"
#include "common/net/credentials.h"
#include "render_node/conditioning/conditioning_key.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/conditioning/encoder_roster.h"
#include "render_node/conditioning/fail_over.h"

namespace diptych {

struct EncoderPoolOptions {
  std::vector<Address> encoders;                // at least one; CheckAllowed has passed
  Credentials credentials = {};                 // for all of them
  int64_t expected_width = 0;                   // cap_feat_dim of the DiT; 0: any
  std::string expected_model_fingerprint = {};  // empty: that of the first encoder that answers
  EncoderCallLimits limits = {};                // of a Fetch
  // What these encoders were in an earlier life; counts before what the first that answers says.
  std::optional<EncoderIdentity> remembered_identity = {};
  // Encoders that come and go; what the first look at each shows is for Describe's caller.
  std::optional<Logger> log = {};
  // The pace of the health watch; encoder_roster.h.
  std::chrono::milliseconds check_interval{10'000};
  std::chrono::milliseconds first_pause{500};
  std::chrono::milliseconds longest_pause{10'000};
};

// Thread-safe. Looks after every encoder on a thread of its own from the constructor to the destructor, which wants no
// call to be under way.
class EncoderPool final : public ConditioningSource {
 public:
  // One encoder at this moment.
  struct Report {
    std::string address;
    EncoderState state = EncoderState::kUnknown;
    bool reachable = false;         // it answers, though it may be refused
    bool refused = false;           // another model, tokenizer, number format or width than this pool's; never asked
    std::string error;              // why it is not up; for a refused one both fingerprints; else why it is in doubt
    std::string model_fingerprint;  // as last answered; empty: never
    int64_t width = 0;              // the same
    int in_flight = 0;              // our calls
  };

  explicit EncoderPool(EncoderPoolOptions options);
  ~EncoderPool() override;

  // Asks the encoder that is up and has the fewest calls of ours in flight, and another one when it fails, whatever it
  // says: that may be its own fault. A request fails when every encoder has refused it, or will not come within
  // limits.second_opinion. A busy one, or one that is not there, is waited for, and Fetch says so.
  //   kUnavailable         patience is over, or each encoder worked longer than limits.work
  //   kDataLoss            all sent broken streams, or rows of something else
  //   kFailedPrecondition  every encoder is refused; or one does not send what it says it has
  //   kInvalidArgument     the prompt has no text; or, as every other code, as the encoders say
  FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                    const std::function<void(const std::string& reason)>& on_waiting) override;

  // The same for any other call (fail_over.h): the least loaded encoder, fail-over, patience. Whether the answer is of
  // the model that the encoder said it has is the call's to compare (EncoderConnection::CheckSent).
  void Call(const EncoderCall& call, const EncoderCallLimits& limits, const CancelToken& cancel,
            const std::function<void(const std::string& reason)>& on_waiting);

  // Model, tokenizer and number format that this pool works with; encoder_roster.h says how it gets them. Nothing until
  // the first encoder has answered. It stays when all are down.
  std::optional<EncoderIdentity> identity() const;

  // Looks at all encoders at once; takes 2 s at most.
  std::vector<Report> Describe();
  // What the last looks have shown; at once.
  std::vector<Report> Known() const;

 private:
  const EncoderPoolOptions options_;
  const std::unique_ptr<EncoderWatch> encoders_;
};

}  // namespace diptych
