// Pulls conditioning from encoder daemons: several hosts that stand in for each other.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/log/log.h"
#include "common/net/address.h"
#include "common/net/credentials.h"
#include "render_node/conditioning/conditioning_key.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/conditioning/encoder_roster.h"

namespace diptych {

struct EncoderPoolOptions {
  std::vector<Address> encoders;                    // at least one; CheckAllowed has passed
  Credentials credentials = {};                     // for all of them
  int64_t expected_width = 0;                       // cap_feat_dim of the DiT; 0: any
  std::string expected_model_fingerprint;           // empty: that of the first encoder that answers
  std::chrono::milliseconds call_timeout{600'000};  // of work on one prompt; waiting for others does not count
  // How long a Fetch waits while no encoder at all answers; then also how long for one that is loading: call_timeout.
  // 0 or less: both for as long as it takes.
  std::chrono::milliseconds unreachable_patience{0};
  // What these encoders were in an earlier life; counts before what the first that answers says.
  std::optional<EncoderIdentity> remembered_identity;
  std::optional<Logger> log;  // encoders that come and go; what the first look at each shows is for Describe's caller
  // The pace of the health watch; encoder_roster.h.
  std::chrono::milliseconds check_interval{10'000};
  std::chrono::milliseconds first_pause{500};
  std::chrono::milliseconds longest_pause{10'000};
  // An encoder that tells its progress and says nothing for so long, while it does not work, is lost.
  std::chrono::milliseconds silence{30'000};
  // In line at one for so long, a Fetch asks another that is up.
  std::chrono::milliseconds longest_line{15'000};
  // When some have refused a request: how long to wait for one that is not there now and might not. Then also how long
  // memory may be short at an encoder before that counts as refused. At most call_timeout.
  std::chrono::milliseconds second_opinion{60'000};
};

// Thread-safe. Looks after every encoder on a thread of its own from the constructor to the destructor, which wants no
// Fetch to be under way.
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
  // second_opinion. A busy one, or one that is not there, is waited for, and Fetch says so.
  //   kUnavailable         patience is over, or each encoder worked longer than call_timeout
  //   kDataLoss            all sent broken streams, or rows of something else
  //   kFailedPrecondition  every encoder is refused; or one does not send what it says it has
  //   kInvalidArgument     the prompt has no text; or, as every other code, as the encoders say
  FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                    const std::function<void(const std::string& reason)>& on_waiting) override;

  // Model, tokenizer and number format that this pool works with; encoder_roster.h says how it gets them. Nothing until
  // the first encoder has answered. It stays when all are down.
  std::optional<EncoderIdentity> identity() const;

  // Looks at all encoders at once; takes 2 s at most.
  std::vector<Report> Describe();
  // What the last looks have shown; at once.
  std::vector<Report> Known() const;

 private:
  struct Encoder;
  struct Asking;
  struct Round;
  using Time = EncoderRoster::Time;

  void Watch(size_t encoder);
  void LogEvents();
  std::optional<FetchResult> Ask(size_t encoder, const Asking& asking, Round* round);
  void Refused(size_t encoder, const absl::Status& failure, const std::string& why, Round* round);
  void EndCall(size_t encoder, EncoderRoster::Outcome outcome, const std::string& why);
  bool IsStillOurs(size_t encoder, const EncoderIdentity& identity, const CancelToken& cancel);
  void AwaitAnyUp(const CancelToken& cancel);
  void AwaitLooks(const std::vector<size_t>& encoders, Time since, std::chrono::milliseconds most,
                  const CancelToken& cancel);

  const EncoderPoolOptions options_;
  std::vector<std::unique_ptr<Encoder>> encoders_;

  mutable std::mutex mutex_;  // guards everything below and Encoder::look
  EncoderRoster roster_;
  bool ending_ = false;
  std::condition_variable wake_;         // for the watching threads
  std::condition_variable_any changed_;  // for those who wait for an encoder
};

}  // namespace diptych
