// Pulls conditioning from encoder daemons: several hosts that stand in for each other.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/net/address.h"
#include "render_node/conditioning/conditioning_source.h"

namespace diptych {

struct EncoderPoolOptions {
  std::vector<Address> encoders;           // at least one, tried in this order; CheckPlaintextAllowed has passed
  int64_t expected_width = 0;              // cap_feat_dim of the DiT; 0: any
  std::string expected_model_fingerprint;  // empty: any
  std::chrono::milliseconds call_timeout{600'000};         // for one prompt, waiting for a loading encoder included
  std::chrono::milliseconds unreachable_patience{15'000};  // how long no encoder at all may answer
};

// Thread-safe.
class EncoderPool final : public ConditioningSource {
 public:
  // What one encoder says of itself at this moment.
  struct Report {
    std::string address;
    bool reachable = false;
    std::string error;              // why not
    std::string model_fingerprint;  // when reachable
    int64_t width = 0;
  };

  explicit EncoderPool(EncoderPoolOptions options);
  ~EncoderPool() override;

  // Goes to the next encoder when one is unavailable, and round again until patience ends: an encoder that is loading
  // may take as long as a call. An encoder that answers with any other error is believed: the error is thrown and names
  // it.
  FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                    const std::function<void(const std::string& reason)>& on_waiting) override;

  // Asks all encoders at once; takes 2 s at most.
  std::vector<Report> Describe() const;

 private:
  struct Encoder;

  const EncoderPoolOptions options_;
  std::vector<std::unique_ptr<Encoder>> encoders_;
};

}  // namespace diptych
