// The encoders of a pool: the way to each, and what is known of it, which a thread of its own keeps true.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/concurrency/cancel_token.h"
#include "common/log/log.h"
#include "common/net/address.h"
#include "common/net/credentials.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/conditioning/encoder_roster.h"

namespace diptych {

// Thread-safe. Looks at every encoder whenever the roster says, from the constructor to the destructor.
class EncoderWatch {
 public:
  using Time = EncoderRoster::Time;
  static constexpr std::chrono::milliseconds kLookTimeout{2000};

  // `roster.addresses` are these encoders'. At least one; `log` gets the roster's lines.
  EncoderWatch(const std::vector<Address>& encoders, const Credentials& credentials, EncoderRosterOptions roster,
               std::optional<Logger> log);
  ~EncoderWatch();

  // Encoders are named by their place, as in the roster.
  size_t size() const { return encoders_.size(); }
  const std::string& address(size_t encoder) const;
  v1::Encoder::StubInterface& stub(size_t encoder) const;

  // Calls `look` with what is known, under the lock: it must not block.
  template <typename Look>
  auto Read(const Look& look) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return look(roster_);
  }
  // The same for who has something to tell. The watch acts on it, and what there is to log of it is logged.
  void Change(const std::function<void(EncoderRoster&)>& change);

  // These block, and throw Error(kCancelled) soon after `cancel` is set.
  // Until each of them has been looked at, asked for at `since` or later, or for so long.
  void AwaitLooks(const std::vector<size_t>& encoders, Time since, std::chrono::milliseconds most,
                  const CancelToken& cancel);
  // Until one is up, or for so long.
  void AwaitAnyUp(std::chrono::milliseconds most, const CancelToken& cancel);

 private:
  struct Encoder;

  void Watch(size_t encoder);
  void LogEvents();

  const Credentials credentials_;
  const std::optional<Logger> log_;
  std::vector<std::unique_ptr<Encoder>> encoders_;

  mutable std::mutex mutex_;  // guards everything below and Encoder::look
  EncoderRoster roster_;
  bool ending_ = false;
  std::condition_variable wake_;         // for the watching threads
  std::condition_variable_any changed_;  // for those who wait for an encoder
};

}  // namespace diptych
