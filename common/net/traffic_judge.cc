#include "common/net/traffic_judge.h"

#include <algorithm>

namespace diptych {
namespace {

constexpr uint32_t kFreeHeaderBytes = 512;     // of a block; ours have fewer
constexpr uint32_t kSmallFrame = 1024;         // bytes of DATA
constexpr uint32_t kMostControlBytes = 16384;  // of a frame that is not DATA
constexpr double kSmallFramesPerStream = 4;
constexpr std::chrono::milliseconds kLookAgain{20};  // whether others have ended theirs
constexpr double kAnswerBytesPerSmallFrame = 1024;   // window updates

}  // namespace

TrafficJudge::Judgement TrafficJudge::Judge(std::string_view bytes, Clock::time_point now) {
  Judgement judgement;
  size_t& at = judgement.pass;
  while (!has_preface() && at < bytes.size()) {
    if (bytes[at] != kHttp2Preface[preface_seen_]) {
      judgement.breach = "it does not speak HTTP/2";
      return judgement;
    }
    ++at;
    ++preface_seen_;
  }
  for (;;) {
    if (payload_left_ > 0) {
      const std::string_view part = bytes.substr(at, payload_left_);
      if (part.empty()) break;
      if (frame_.type == Http2Frame::kData) {
        if (const auto stream = streams_.find(frame_.stream); stream != streams_.end()) {
          stream->second.moved = now;
          ReadMessages(stream->second, part);
        }
      }
      at += part.size();
      payload_left_ -= static_cast<uint32_t>(part.size());
      continue;
    }
    if (bytes.size() - at < Http2Frame::kHeadBytes) break;
    const Http2Frame frame = Http2Frame::Parse(bytes.substr(at, Http2Frame::kHeadBytes));
    if (!Admit(frame, now, &judgement)) break;
    at += Http2Frame::kHeadBytes;
    frame_ = frame;
    payload_left_ = frame.length;
  }
  return judgement;
}

bool TrafficJudge::Admit(const Http2Frame& frame, Clock::time_point now, Judgement* judgement) {
  if (frame.type != Http2Frame::kData && frame.length > kMostControlBytes) {
    judgement->breach = "a frame is too long";
    return false;
  }
  switch (frame.type) {
    case Http2Frame::kData: {
      if (frame.length < kSmallFrame && !Pay(small_, nullptr, 1, now, judgement)) return false;
      const auto stream = streams_.find(frame.stream);
      if (stream != streams_.end() && frame.ends_stream()) stream->second.ended_by_peer = true;
      return true;
    }
    case Http2Frame::kHeaders:
    case Http2Frame::kContinuation:
      return AdmitHeaders(frame, now, judgement);
    case Http2Frame::kRstStream:
      if (!streams_.contains(frame.stream)) return Pay(small_, nullptr, 1, now, judgement);
      if (!Pay(reset_, &host_->reset, 1, now, judgement)) return false;
      Forget(frame.stream);
      return true;
    case Http2Frame::kSettings:
      return Pay(settings_, nullptr, 1, now, judgement);
    case Http2Frame::kPushPromise:
      judgement->breach = "a client pushes";
      return false;
    default:
      return Pay(small_, nullptr, 1, now, judgement);
  }
}

bool TrafficJudge::AdmitHeaders(const Http2Frame& frame, Clock::time_point now, Judgement* judgement) {
  const bool begins = frame.type == Http2Frame::kHeaders;
  const int64_t before = begins ? 0 : header_block_bytes_;
  const int64_t after = before + frame.length;
  if (after > limits_.header_block_bytes) {
    judgement->breach = "its headers are too long";
    return false;
  }
  const bool opens = begins && !streams_.contains(frame.stream);
  if (opens && streams() >= limits_.streams) {
    judgement->wait_until = Clock::time_point::max();
    return false;
  }
  if (opens && !HasRoomForStream()) {
    judgement->wait_until = now + kLookAgain;
    return false;
  }
  const auto paid_bytes = static_cast<double>(std::max<int64_t>(0, after - kFreeHeaderBytes) -
                                              std::max<int64_t>(0, before - kFreeHeaderBytes));
  if (!Pay(header_bytes_, nullptr, paid_bytes, now, judgement)) return false;
  if (!begins && !Pay(small_, nullptr, 1, now, judgement)) return false;
  if (opens && !Pay(opened_, &host_->opened, 1, now, judgement)) return false;
  header_block_bytes_ = after;
  in_header_block_ = (frame.flags & Http2Frame::kEndHeaders) == 0;
  if (opens) {
    small_.Earn(kSmallFramesPerStream);
    CountStreams(1);
  }
  if (begins) {
    Stream& stream = streams_[frame.stream];
    stream.moved = now;
    stream.ended_by_peer = stream.ended_by_peer || frame.ends_stream();
  }
  return true;
}

bool TrafficJudge::Pay(Allowance& own, Allowance* shared, double amount, Clock::time_point now, Judgement* judgement) {
  if (amount <= 0 || own.Take(amount, now) || (shared != nullptr && shared->Take(amount, now))) return true;
  judgement->wait_until = own.When(amount, now);
  return false;
}

void TrafficJudge::ReadMessages(Stream& stream, std::string_view bytes) {
  while (!bytes.empty()) {
    if (stream.message_left == 0) {
      stream.prefix[stream.prefix_size++] = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (stream.prefix_size < stream.prefix.size()) continue;
      stream.prefix_size = 0;
      for (size_t i = 1; i < stream.prefix.size(); ++i)
        stream.message_left = stream.message_left << 8 | stream.prefix[i];
      continue;
    }
    const size_t part = std::min<size_t>(stream.message_left, bytes.size());
    bytes.remove_prefix(part);
    stream.message_left -= static_cast<uint32_t>(part);
    stream.message_had += static_cast<int64_t>(part);
    unfinished_bytes_ += static_cast<int64_t>(part);
    if (stream.message_left > 0) continue;
    unfinished_bytes_ -= stream.message_had;
    stream.message_had = 0;
  }
}

void TrafficJudge::Answer(std::string_view bytes) {
  while (!bytes.empty()) {
    if (answer_left_ > 0) {
      const size_t part = std::min<size_t>(answer_left_, bytes.size());
      bytes.remove_prefix(part);
      answer_left_ -= static_cast<uint32_t>(part);
      continue;
    }
    const size_t missing = Http2Frame::kHeadBytes - answer_head_.size();
    answer_head_.append(bytes.substr(0, missing));
    bytes.remove_prefix(std::min(missing, bytes.size()));
    if (answer_head_.size() < Http2Frame::kHeadBytes) return;
    const Http2Frame frame = Http2Frame::Parse(answer_head_);
    answer_head_.clear();
    answer_left_ = frame.length;
    if (frame.type == Http2Frame::kHeaders || frame.type == Http2Frame::kContinuation) {
      answer_in_header_block_ = (frame.flags & Http2Frame::kEndHeaders) == 0;
    }
    if (frame.type == Http2Frame::kData) small_.Earn(1 + frame.length / kAnswerBytesPerSmallFrame);
    if (frame.ends_stream() || frame.type == Http2Frame::kRstStream) Forget(frame.stream);
  }
}

void TrafficJudge::Forget(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  unfinished_bytes_ -= found->second.message_had;
  streams_.erase(found);
  CountStreams(-1);
}

bool TrafficJudge::HasRoomForStream() const {
  return streams() < limits_.streams_for_each ||
         (host_->streams < limits_.streams_of_host &&
          (host_->streams_in_all == nullptr || *host_->streams_in_all < limits_.streams_in_all));
}

void TrafficJudge::CountStreams(int64_t more) {
  host_->streams += more;
  if (host_->streams_in_all != nullptr) *host_->streams_in_all += more;
}

std::optional<uint32_t> TrafficJudge::TakeStale(Clock::time_point now) {
  for (const auto& [id, stream] : streams_) {
    if (stream.ended_by_peer || now - stream.moved < limits_.half_open_for) continue;
    const uint32_t stale = id;
    Forget(stale);
    return stale;
  }
  return std::nullopt;
}

}  // namespace diptych
