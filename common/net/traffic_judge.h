// What a peer may send on a connection of HTTP/2 that carries gRPC, seen from outside: by the frames' heads alone,
// before the library that serves them reads a byte.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/net/allowance.h"
#include "common/net/http2_frame.h"

namespace diptych {

// Far above what an honest program does; who does more waits, and what no program does ends the connection.
struct TrafficLimits {
  int64_t streams = 100;           // of a connection, open at a time
  int64_t streams_of_host = 2000;  // likewise, of all connections of a host together
  int64_t streams_in_all = 8000;
  int64_t streams_for_each = 8;            // that a connection may have whatever others have
  int64_t header_block_bytes = 16 << 10;   // packed; gRPC takes 8 KiB unpacked, names and values
  std::chrono::seconds half_open_for{60};  // a stream that its client neither ends nor goes on with
};

// What the connections of one host have together, beside what each has for itself.
struct HostAllowances {
  int64_t streams = 0;                // open now
  int64_t* streams_in_all = nullptr;  // likewise, of all hosts; null: nobody counts

  Allowance opened{2000, 4000};     // streams
  Allowance reset{200, 400};        // streams, by their client
  Allowance connections{100, 300};  // new ones
};

// One connection. Streams and frames are paid from allowances of its own first, so that nobody waits for others of the
// same host who take more. Not thread-safe.
class TrafficJudge {
 public:
  using Clock = Allowance::Clock;

  TrafficJudge(const TrafficLimits& limits, HostAllowances* host) : limits_(limits), host_(host) {}
  ~TrafficJudge() { CountStreams(-streams()); }
  TrafficJudge(const TrafficJudge&) = delete;
  TrafficJudge& operator=(const TrafficJudge&) = delete;

  struct Judgement {
    size_t pass = 0;     // as many bytes may go on
    std::string breach;  // not empty: the connection must end, for this reason
    // Set: the rest waits until then, or until a stream has ended (Answer). Unset: more bytes are needed.
    std::optional<Clock::time_point> wait_until;
  };

  // `bytes` are those from the peer of which none has passed yet.
  Judgement Judge(std::string_view bytes, Clock::time_point now);

  // What the server answers, as it comes: which streams have ended.
  void Answer(std::string_view bytes);

  bool has_preface() const { return preface_seen_ == kHttp2Preface.size(); }
  int64_t streams() const { return static_cast<int64_t>(streams_.size()); }
  // Of messages of gRPC that have begun and not ended: their reader keeps them in memory.
  int64_t unfinished_bytes() const { return unfinished_bytes_; }

  // Whether a frame of ours could stand after what passed, or was answered, so far.
  bool IsBetweenFrames() const { return has_preface() && payload_left_ == 0 && !in_header_block_; }
  bool IsBetweenAnswers() const { return answer_head_.empty() && answer_left_ == 0 && !answer_in_header_block_; }
  // A stream that has been half open for too long, and is forgotten by this.
  std::optional<uint32_t> TakeStale(Clock::time_point now);

 private:
  struct Stream {
    bool ended_by_peer = false;
    Clock::time_point moved;  // when its peer last sent something
    std::array<unsigned char, 5> prefix{};
    size_t prefix_size = 0;
    uint32_t message_left = 0;
    int64_t message_had = 0;
  };

  // Whether the frame may go on. Sets breach or wait_until when not.
  bool Admit(const Http2Frame& frame, Clock::time_point now, Judgement* judgement);
  bool AdmitHeaders(const Http2Frame& frame, Clock::time_point now, Judgement* judgement);
  bool Pay(Allowance& own, Allowance* shared, double amount, Clock::time_point now, Judgement* judgement);
  void ReadMessages(Stream& stream, std::string_view bytes);
  void Forget(uint32_t stream);
  bool HasRoomForStream() const;
  void CountStreams(int64_t more);

  const TrafficLimits limits_;
  HostAllowances* const host_;
  Allowance opened_{100, 200};   // streams
  Allowance reset_{20, 100};     // streams
  Allowance small_{500, 2000};   // frames that carry little or nothing, beside those that answers make necessary
  Allowance settings_{20, 100};  // frames: each is answered
  Allowance header_bytes_{65536, 65536};  // beyond the first kFreeHeaderBytes of a block

  size_t preface_seen_ = 0;
  Http2Frame frame_;  // whose payload comes
  uint32_t payload_left_ = 0;
  bool in_header_block_ = false;
  int64_t header_block_bytes_ = 0;
  std::unordered_map<uint32_t, Stream> streams_;
  int64_t unfinished_bytes_ = 0;

  std::string answer_head_;  // less than nine bytes
  uint32_t answer_left_ = 0;
  bool answer_in_header_block_ = false;
};

}  // namespace diptych
