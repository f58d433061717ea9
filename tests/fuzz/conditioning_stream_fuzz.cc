// Any bytes as a conditioning stream: nothing but a whole, valid stream may be accepted.
//
// Input: one byte of switches, then frames, each a 32-bit little-endian length and that many bytes of a serialized
// ConditioningFrame. Switch 1 puts the true checksum into every trailer, so that mutations get past it.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest/sha256.h"
#include "common/wire/conditioning_codec.h"

namespace diptych {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "conditioning_stream_fuzz: %s\n", what);
  std::abort();
}

// The frames up to the first that is cut off or no message, where gRPC would end the stream.
std::vector<v1::ConditioningFrame> ParseFrames(std::string_view input) {
  std::vector<v1::ConditioningFrame> frames;
  while (input.size() >= 4) {
    uint32_t size = 0;
    for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<uint8_t>(input[static_cast<size_t>(i)]);
    input.remove_prefix(4);
    if (size > input.size()) break;
    v1::ConditioningFrame frame;
    if (!frame.ParseFromArray(input.data(), static_cast<int>(size))) break;
    input.remove_prefix(size);
    frames.push_back(std::move(frame));
  }
  return frames;
}

// The rules once more, written down independently of the receiver.
void RequireWholeStream(const std::vector<v1::ConditioningFrame>& frames, const Conditioning& block) {
  Require(frames.size() >= 3 && frames.front().has_header() && frames.back().has_trailer(),
          "accepted without its ends");
  std::string bytes;
  for (size_t i = 1; i + 1 < frames.size(); ++i) {
    Require(frames[i].has_chunk(), "accepted something other than chunks between header and trailer");
    Require(frames[i].chunk().offset() == static_cast<int64_t>(bytes.size()), "accepted a chunk out of order");
    Require(!frames[i].chunk().data().empty() && frames[i].chunk().data().size() <= 1048576, "accepted a chunk's size");
    bytes += frames[i].chunk().data();
  }
  const v1::ConditioningHeader& header = frames.front().header();
  const int64_t value_size = header.dtype() == v1::STATE_DTYPE_BFLOAT16 ? 2 : 4;
  Require(header.rows() * header.width() * value_size == static_cast<int64_t>(bytes.size()), "accepted a wrong size");
  Require(frames.back().trailer().byte_count() == static_cast<int64_t>(bytes.size()), "accepted a wrong trailer count");
  Require(frames.back().trailer().sha256() == Sha256Hex(bytes), "accepted a wrong checksum");
  Require(std::string(block.bytes.begin(), block.bytes.end()) == bytes, "changed the bytes");
}

void RequireRoundTrip(const Conditioning& block) {
  ConditioningReceiver receiver;
  const absl::Status sent =
      SendConditioning(block, [&](const v1::ConditioningFrame& frame) { return receiver.Add(frame).ok(); });
  Require(sent.ok(), "cannot send what was received");
  const absl::StatusOr<Conditioning> again = receiver.Finish();
  Require(again.ok() && again->header == block.header && again->bytes == block.bytes, "round trip changed the block");
}

void MendChecksums(std::vector<v1::ConditioningFrame>* frames) {
  std::string bytes;
  for (v1::ConditioningFrame& frame : *frames) {
    if (frame.has_chunk()) bytes += frame.chunk().data();
    if (frame.has_trailer()) frame.mutable_trailer()->set_sha256(Sha256Hex(bytes));
  }
}

void Try(std::string_view input) {
  if (input.empty()) return;
  std::vector<v1::ConditioningFrame> frames = ParseFrames(input.substr(1));
  if (input.front() & 1) MendChecksums(&frames);
  ConditioningReceiver receiver;
  bool failed = false;
  for (const v1::ConditioningFrame& frame : frames) {
    const bool accepted = receiver.Add(frame).ok();
    Require(!(failed && accepted), "went on after an error");
    failed = !accepted;
  }
  const bool complete = receiver.complete();
  Require(!(failed && complete), "complete after an error");
  const absl::StatusOr<Conditioning> block = receiver.Finish();
  Require(block.ok() == complete, "complete() and Finish() disagree");
  if (!block.ok()) return;
  RequireWholeStream(frames, *block);
  RequireRoundTrip(*block);
}

}  // namespace
}  // namespace diptych

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  google::protobuf::SetLogHandler(nullptr);  // it has a line for every string that is no UTF-8
  diptych::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
