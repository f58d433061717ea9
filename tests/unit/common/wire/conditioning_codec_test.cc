#include "common/wire/conditioning_codec.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "common/digest/sha256.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using Frames = std::vector<v1::ConditioningFrame>;

Conditioning Block(int64_t rows, int64_t width, StateDtype dtype = StateDtype::kBFloat16) {
  Conditioning block;
  block.header = {.model_fingerprint = std::string(64, 'a'),
                  .tokenizer_fingerprint = std::string(64, 'b'),
                  .input_sha256 = std::string(64, 'c'),
                  .token_count = rows + 3,
                  .layer = -3,
                  .long_prompt_mode = LongPromptMode::kPool,
                  .dtype = dtype,
                  .rows = rows,
                  .width = width};
  block.bytes.resize(static_cast<size_t>(block.header.ByteCount()));
  uint32_t noise = 1;
  for (uint8_t& byte : block.bytes) byte = ((noise = noise * 1664525u + 1013904223u) >> 24) & 0xBF;  // finite
  return block;
}

Frames FramesOf(const Conditioning& block) {
  Frames frames;
  const absl::Status sent = SendConditioning(block, [&](const v1::ConditioningFrame& frame) {
    frames.push_back(frame);
    return true;
  });
  EXPECT_TRUE(sent.ok()) << sent;
  return frames;
}

// What a receiver makes of `frames`: the block, or its first error.
absl::StatusOr<Conditioning> Receive(const Frames& frames) {
  ConditioningReceiver receiver;
  for (const v1::ConditioningFrame& frame : frames) {
    if (absl::Status s = receiver.Add(frame); !s.ok()) {
      EXPECT_FALSE(receiver.complete());
      EXPECT_EQ(receiver.Finish().status(), s) << "nothing may be had after an error";
      EXPECT_EQ(receiver.Add(frame), s) << "an error is final";
      return s;
    }
  }
  return receiver.Finish();
}

void ExpectRefused(const Frames& frames, absl::StatusCode code, const std::string& reason) {
  const absl::StatusOr<Conditioning> result = Receive(frames);
  EXPECT_EQ(result.status().code(), code) << result.status();
  EXPECT_NE(std::string(result.status().message()).find(reason), std::string::npos) << result.status();
}

// The stream of a block of 1.5 MiB (two chunks), changed by `change`.
Frames Changed(const std::function<void(Frames*)>& change) {
  Frames frames = FramesOf(Block(512, 1536));
  EXPECT_EQ(frames.size(), 4u);
  change(&frames);
  return frames;
}

TEST(ConditioningStream, CarriesBlocksOfAnySizeUnchanged) {
  for (const auto& [rows, width, dtype] : {std::tuple{1, 1, StateDtype::kBFloat16},
                                           {7, 48, StateDtype::kFloat32},
                                           {512, 1024, StateDtype::kBFloat16} /* exactly one chunk */,
                                           {1504, 2560, StateDtype::kBFloat16},
                                           {1504, 2560, StateDtype::kFloat32}}) {
    const Conditioning block = Block(rows, width, dtype);
    const absl::StatusOr<Conditioning> received = Receive(FramesOf(block));
    ASSERT_TRUE(received.ok()) << received.status();
    EXPECT_EQ(received->header, block.header);
    EXPECT_EQ(received->bytes, block.bytes);
  }
}

TEST(ConditioningStream, ChunksAreAtMostOneMebibyteAndInOrder) {
  const Frames frames = FramesOf(Block(1504, 2560));
  int64_t offset = 0;
  for (const v1::ConditioningFrame& frame : frames) {
    if (!frame.has_chunk()) continue;
    EXPECT_EQ(frame.chunk().offset(), offset);
    EXPECT_LE(frame.chunk().data().size(), 1048576u);
    offset += static_cast<int64_t>(frame.chunk().data().size());
  }
  EXPECT_EQ(offset, 1504 * 2560 * 2);
  EXPECT_TRUE(frames.front().has_header());
  EXPECT_TRUE(frames.back().has_trailer());
}

TEST(ConditioningStream, BlockOfUnknownOriginIsCarried) {
  Conditioning block = Block(2, 3);
  block.header.model_fingerprint = block.header.tokenizer_fingerprint = block.header.input_sha256 = "";
  EXPECT_TRUE(Receive(FramesOf(block)).ok());
}

TEST(ConditioningStream, IsNotCompleteBeforeItsTrailer) {
  const Frames frames = FramesOf(Block(2, 3));
  ConditioningReceiver receiver;
  for (const v1::ConditioningFrame& frame : frames) {
    EXPECT_FALSE(receiver.complete());
    ASSERT_TRUE(receiver.Add(frame).ok());
  }
  EXPECT_TRUE(receiver.complete());
  EXPECT_TRUE(receiver.Finish().ok());
  EXPECT_FALSE(receiver.Finish().ok()) << "a block is handed out once";
}

TEST(ConditioningStream, RefusesEveryEarlyEnd) {
  const Frames whole = FramesOf(Block(512, 1536));
  for (size_t length = 0; length < whole.size(); ++length) {
    ExpectRefused(Frames(whole.begin(), whole.begin() + length), absl::StatusCode::kDataLoss, "ended");
  }
}

TEST(ConditioningStream, RefusesAStreamThatDoesNotBeginWithAHeader) {
  ExpectRefused(Changed([](Frames* f) { f->erase(f->begin()); }), absl::StatusCode::kDataLoss, "before the header");
  ExpectRefused({FramesOf(Block(1, 1)).back()}, absl::StatusCode::kDataLoss, "before the header");
  ExpectRefused({v1::ConditioningFrame()}, absl::StatusCode::kDataLoss, "none of header, chunk, trailer");
}

TEST(ConditioningStream, RefusesASecondHeader) {
  ExpectRefused(Changed([](Frames* f) { f->insert(f->begin() + 1, f->front()); }), absl::StatusCode::kDataLoss,
                "second header");
}

TEST(ConditioningStream, RefusesAMissingChunk) {
  ExpectRefused(Changed([](Frames* f) { f->erase(f->begin() + 1); }), absl::StatusCode::kDataLoss, "offset 1048576");
  ExpectRefused(Changed([](Frames* f) { f->erase(f->begin() + 2); }), absl::StatusCode::kDataLoss,
                "after 1048576 of 1572864 bytes");
}

TEST(ConditioningStream, RefusesChunksOutOfOrder) {
  ExpectRefused(Changed([](Frames* f) { std::swap((*f)[1], (*f)[2]); }), absl::StatusCode::kDataLoss,
                "where 0 was due");
  ExpectRefused(Changed([](Frames* f) { (*f)[2].mutable_chunk()->set_offset(-1); }), absl::StatusCode::kDataLoss,
                "offset -1 where 1048576 was due");
}

TEST(ConditioningStream, RefusesARepeatedChunk) {
  ExpectRefused(Changed([](Frames* f) { f->insert(f->begin() + 1, (*f)[1]); }), absl::StatusCode::kDataLoss,
                "where 1048576 was due");
}

TEST(ConditioningStream, RefusesAnEmptyChunk) {
  ExpectRefused(Changed([](Frames* f) { (*f)[1].mutable_chunk()->clear_data(); }), absl::StatusCode::kDataLoss,
                "empty chunk");
}

TEST(ConditioningStream, RefusesAChunkAboveOneMebibyte) {
  ExpectRefused(Changed([](Frames* f) { (*f)[1].mutable_chunk()->mutable_data()->push_back('x'); }),
                absl::StatusCode::kDataLoss, "1048577 bytes");
}

TEST(ConditioningStream, RefusesBytesBeyondTheStatedCount) {
  ExpectRefused(Changed([](Frames* f) { (*f)[2].mutable_chunk()->mutable_data()->push_back('x'); }),
                absl::StatusCode::kDataLoss, "1572865 bytes so far, the header states 1572864");
}

TEST(ConditioningStream, RefusesAChangedBit) {
  ExpectRefused(Changed([](Frames* f) { (*(*f)[2].mutable_chunk()->mutable_data())[99] ^= 1; }),
                absl::StatusCode::kDataLoss, "checksum");
}

TEST(ConditioningStream, RefusesValuesThatAreNoNumbers) {
  for (const StateDtype dtype : {StateDtype::kBFloat16, StateDtype::kFloat32}) {
    for (const uint8_t last : {0x7F, 0xFF}) {
      Conditioning block = Block(3, 5, dtype);
      const size_t size = BytesPerValue(dtype), at = (5 + 2) * size;  // value 2 of row 1
      block.bytes[at + size - 2] = 0xC0;
      block.bytes[at + size - 1] = last;
      EXPECT_EQ(SendConditioning(block, [](const v1::ConditioningFrame&) { return true; }).message(),
                "conditioning: value 2 of row 1 is infinite or not a number; nothing can be painted from it");
      v1::ConditioningFrame chunk;
      chunk.mutable_chunk()->set_data(std::string(block.bytes.begin(), block.bytes.end()));
      v1::ConditioningFrame trailer;
      trailer.mutable_trailer()->set_byte_count(block.header.ByteCount());
      trailer.mutable_trailer()->set_sha256(Sha256Hex(chunk.chunk().data()));
      ExpectRefused({FramesOf(Block(3, 5, dtype))[0], chunk, trailer}, absl::StatusCode::kInvalidArgument,
                    "value 2 of row 1");
    }
  }
}

TEST(ConditioningStream, RefusesATrailerThatDisagrees) {
  ExpectRefused(Changed([](Frames* f) { f->back().mutable_trailer()->set_sha256(std::string(64, '0')); }),
                absl::StatusCode::kDataLoss, "checksum");
  ExpectRefused(Changed([](Frames* f) { f->back().mutable_trailer()->clear_sha256(); }), absl::StatusCode::kDataLoss,
                "checksum");
  ExpectRefused(Changed([](Frames* f) { f->back().mutable_trailer()->set_byte_count(1); }), absl::StatusCode::kDataLoss,
                "trailer states 1 bytes");
}

TEST(ConditioningStream, RefusesAnythingBehindTheTrailer) {
  ExpectRefused(Changed([](Frames* f) { f->push_back(f->back()); }), absl::StatusCode::kDataLoss, "second trailer");
  ExpectRefused(Changed([](Frames* f) { f->push_back((*f)[1]); }), absl::StatusCode::kDataLoss, "follows the trailer");
  ExpectRefused(Changed([](Frames* f) { f->push_back((*f)[0]); }), absl::StatusCode::kDataLoss, "follows the trailer");
  ExpectRefused(Changed([](Frames* f) { f->emplace_back(); }), absl::StatusCode::kDataLoss, "none of header");
}

void ExpectHeaderRefused(const std::function<void(v1::ConditioningHeader*)>& change, const std::string& reason) {
  Frames frames = FramesOf(Block(2, 3));
  change(frames.front().mutable_header());
  ExpectRefused({frames.front()}, absl::StatusCode::kInvalidArgument, reason);
}

TEST(ConditioningStream, RefusesAbsurdSizesBeforeAnyByte) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  ExpectHeaderRefused([](auto* h) { h->set_rows(0); }, "rows 0 is not from 1 to 65536");
  ExpectHeaderRefused([](auto* h) { h->set_rows(-5); }, "rows -5");
  ExpectHeaderRefused([](auto* h) { h->set_rows(65537); }, "rows 65537");
  ExpectHeaderRefused([&](auto* h) { h->set_rows(kHuge); }, "rows 9223372036854775807");
  ExpectHeaderRefused([](auto* h) { h->set_width(0); }, "width 0");
  ExpectHeaderRefused([&](auto* h) { h->set_width(kHuge); }, "width 9223372036854775807");
  ExpectHeaderRefused(
      [](auto* h) {
        h->set_rows(65536);
        h->set_width(65536);
      },
      "rows x width 4294967296 is not from 1 to 134217728");
  ExpectHeaderRefused([](auto* h) { h->set_token_count(-1); }, "token_count -1");
}

TEST(ConditioningStream, RefusesUnknownChoicesAndMalformedDigests) {
  ExpectHeaderRefused([](auto* h) { h->clear_dtype(); }, "dtype number 0");
  ExpectHeaderRefused([](auto* h) { h->set_dtype(static_cast<v1::StateDtype>(9)); }, "dtype number 9");
  ExpectHeaderRefused([](auto* h) { h->set_long_prompt_mode(static_cast<v1::LongPromptMode>(9)); },
                      "long-prompt mode number 9");
  ExpectHeaderRefused([](auto* h) { h->set_model_fingerprint("abc"); }, "model_fingerprint");
  ExpectHeaderRefused([](auto* h) { h->set_tokenizer_fingerprint(std::string(64, 'A')); }, "tokenizer_fingerprint");
  ExpectHeaderRefused([](auto* h) { h->set_text_sha256(std::string(64, 'g')); }, "text_sha256");
}

TEST(ConditioningStream, UnsetLongPromptModeIsInterpolation) {
  Frames frames = FramesOf(Block(2, 3));
  frames.front().mutable_header()->clear_long_prompt_mode();
  const absl::StatusOr<Conditioning> received = Receive(frames);
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->header.long_prompt_mode, LongPromptMode::kInterpolate);
}

TEST(SendConditioning, WritesNothingOfABlockThatContradictsItself) {
  const auto refuses = [](const Conditioning& block) {
    int written = 0;
    const absl::Status status = SendConditioning(block, [&](const auto&) { return ++written > 0; });
    EXPECT_EQ(written, 0);
    return status.code();
  };
  Conditioning short_block = Block(2, 3);
  short_block.bytes.pop_back();
  EXPECT_EQ(refuses(short_block), absl::StatusCode::kInvalidArgument);
  Conditioning wide_block = Block(2, 3);
  wide_block.header.width = kMaxConditioningWidth + 1;
  EXPECT_EQ(refuses(wide_block), absl::StatusCode::kInvalidArgument);
}

TEST(SendConditioning, StopsWhenTheReceiverHasGone) {
  int written = 0;
  const absl::Status status = SendConditioning(Block(512, 1536), [&](const auto&) { return ++written < 2; });
  EXPECT_EQ(written, 2);
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace diptych
