#include "common/wire/conditioning_codec.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error/status.h"
#include "common/wire/enums.h"

namespace diptych {
namespace {

bool IsDigest(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

absl::Status CheckRange(const char* field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("conditioning stream: ", field, " ", value, " is not from ", least, " to ", most));
}

absl::Status CheckOptionalDigest(const char* field, const std::string& digest) {
  if (digest.empty() || IsDigest(digest)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("conditioning stream: ", field, " must be empty or 64 lower-case hexadecimal digits"));
}

// Both sides hold to the limits, so that a sender learns of its own mistake before the receiver does.
absl::Status CheckLimits(const ConditioningHeader& header) {
  if (absl::Status s = CheckRange("rows", header.rows, 1, kMaxConditioningRows); !s.ok()) return s;
  if (absl::Status s = CheckRange("width", header.width, 1, kMaxConditioningWidth); !s.ok()) return s;
  // No overflow: both factors are at most 2^16.
  if (absl::Status s = CheckRange("rows x width", header.rows * header.width, 1, kMaxConditioningValues); !s.ok()) {
    return s;
  }
  if (absl::Status s = CheckRange("token_count", header.token_count, 0, kMaxConditioningTokens); !s.ok()) return s;
  if (absl::Status s = CheckOptionalDigest("model_fingerprint", header.model_fingerprint); !s.ok()) return s;
  if (absl::Status s = CheckOptionalDigest("tokenizer_fingerprint", header.tokenizer_fingerprint); !s.ok()) return s;
  return CheckOptionalDigest("text_sha256", header.input_sha256);
}

void WriteHeader(const ConditioningHeader& header, v1::ConditioningHeader* proto) {
  proto->set_model_fingerprint(header.model_fingerprint);
  proto->set_tokenizer_fingerprint(header.tokenizer_fingerprint);
  proto->set_text_sha256(header.input_sha256);
  proto->set_token_count(header.token_count);
  proto->set_layer(header.layer);
  proto->set_long_prompt_mode(ToProto(header.long_prompt_mode));
  proto->set_dtype(ToProto(header.dtype));
  proto->set_rows(header.rows);
  proto->set_width(header.width);
}

absl::StatusOr<ConditioningHeader> ReadHeader(const v1::ConditioningHeader& proto) {
  const absl::StatusOr<StateDtype> dtype = FromProto(proto.dtype());
  if (!dtype.ok()) return dtype.status();
  const absl::StatusOr<LongPromptMode> mode = FromProto(proto.long_prompt_mode());
  if (!mode.ok()) return mode.status();
  ConditioningHeader header;
  header.model_fingerprint = proto.model_fingerprint();
  header.tokenizer_fingerprint = proto.tokenizer_fingerprint();
  header.input_sha256 = proto.text_sha256();
  header.token_count = proto.token_count();
  header.layer = proto.layer();
  header.long_prompt_mode = *mode;
  header.dtype = *dtype;
  header.rows = proto.rows();
  header.width = proto.width();
  if (absl::Status s = CheckLimits(header); !s.ok()) return s;
  return header;
}

absl::Status Broken(const std::string& reason) {
  return absl::DataLossError(absl::StrCat("conditioning stream: ", reason));
}

}  // namespace

absl::Status SendConditioning(const Conditioning& conditioning,
                              const std::function<bool(const v1::ConditioningFrame&)>& write) {
  if (absl::Status s = CheckLimits(conditioning.header); !s.ok()) return s;
  if (absl::Status s = Guard([&] { CheckConditioning(conditioning); }); !s.ok()) return s;
  const absl::Status gone = absl::CancelledError("conditioning stream: the receiver has gone");
  const char* const bytes = reinterpret_cast<const char*>(conditioning.bytes.data());
  const int64_t total = conditioning.header.ByteCount();

  v1::ConditioningFrame frame;
  WriteHeader(conditioning.header, frame.mutable_header());
  if (!write(frame)) return gone;
  for (int64_t offset = 0; offset < total; offset += kMaxChunkBytes) {
    v1::ConditioningChunk* chunk = frame.mutable_chunk();
    chunk->set_offset(offset);
    chunk->set_data(bytes + offset, static_cast<size_t>(std::min(kMaxChunkBytes, total - offset)));
    if (!write(frame)) return gone;
  }
  frame.mutable_trailer()->set_byte_count(total);
  frame.mutable_trailer()->set_sha256(Sha256Hex(bytes, static_cast<size_t>(total)));
  return write(frame) ? absl::OkStatus() : gone;
}

absl::Status ConditioningReceiver::Add(const v1::ConditioningFrame& frame) {
  if (state_ == State::kFailed) return error_;
  try {
    switch (frame.frame_case()) {
      case v1::ConditioningFrame::kHeader:
        return AddHeader(frame.header());
      case v1::ConditioningFrame::kChunk:
        return AddChunk(frame.chunk());
      case v1::ConditioningFrame::kTrailer:
        return AddTrailer(frame.trailer());
      case v1::ConditioningFrame::FRAME_NOT_SET:
        break;
    }
    return Fail(Broken("a frame is none of header, chunk, trailer"));
  } catch (...) {
    return Fail(StatusOfCurrentException());
  }
}

absl::Status ConditioningReceiver::AddHeader(const v1::ConditioningHeader& header) {
  if (state_ == State::kComplete) return Fail(Broken("a header follows the trailer"));
  if (state_ != State::kExpectsHeader) return Fail(Broken("a second header"));
  absl::StatusOr<ConditioningHeader> checked = ReadHeader(header);
  if (!checked.ok()) return Fail(checked.status());
  conditioning_.header = *std::move(checked);
  state_ = State::kExpectsBytes;
  return absl::OkStatus();
}

absl::Status ConditioningReceiver::AddChunk(const v1::ConditioningChunk& chunk) {
  if (state_ == State::kComplete) return Fail(Broken("a chunk follows the trailer"));
  if (state_ != State::kExpectsBytes) return Fail(Broken("a chunk comes before the header"));
  std::vector<uint8_t>& bytes = conditioning_.bytes;
  const int64_t received = static_cast<int64_t>(bytes.size());
  const int64_t size = static_cast<int64_t>(chunk.data().size());
  const int64_t total = conditioning_.header.ByteCount();
  if (size == 0) return Fail(Broken("an empty chunk"));
  if (size > kMaxChunkBytes) {
    return Fail(Broken(absl::StrCat("a chunk of ", size, " bytes, at most ", kMaxChunkBytes, " are allowed")));
  }
  if (chunk.offset() != received) {
    return Fail(Broken(absl::StrCat("a chunk at offset ", chunk.offset(), " where ", received, " was due")));
  }
  if (size > total - received) {
    return Fail(Broken(absl::StrCat(received + size, " bytes so far, the header states ", total)));
  }
  // Doubles, but never beyond the stated total.
  const size_t needed = static_cast<size_t>(received + size);
  if (bytes.capacity() < needed) {
    bytes.reserve(std::min(static_cast<size_t>(total), std::max(needed, 2 * bytes.capacity())));
  }
  bytes.insert(bytes.end(), chunk.data().begin(), chunk.data().end());
  digest_.Update(chunk.data());
  return absl::OkStatus();
}

absl::Status ConditioningReceiver::AddTrailer(const v1::ConditioningTrailer& trailer) {
  if (state_ == State::kComplete) return Fail(Broken("a second trailer"));
  if (state_ != State::kExpectsBytes) return Fail(Broken("a trailer comes before the header"));
  const int64_t received = static_cast<int64_t>(conditioning_.bytes.size());
  const int64_t total = conditioning_.header.ByteCount();
  if (received != total) {
    return Fail(Broken(absl::StrCat("the trailer comes after ", received, " of ", total, " bytes")));
  }
  if (trailer.byte_count() != total) {
    return Fail(Broken(absl::StrCat("the trailer states ", trailer.byte_count(), " bytes, the header ", total)));
  }
  if (trailer.sha256() != digest_.HexDigest()) {
    return Fail(Broken("the checksum of the bytes is not the trailer's"));
  }
  if (absl::Status s = Guard([&] { CheckConditioning(conditioning_); }); !s.ok()) return Fail(std::move(s));
  state_ = State::kComplete;
  return absl::OkStatus();
}

absl::StatusOr<Conditioning> ConditioningReceiver::Finish() {
  if (state_ == State::kFailed) return error_;
  if (state_ == State::kExpectsHeader) return Fail(Broken("it ended before its header"));
  if (state_ == State::kExpectsBytes) {
    return Fail(Broken(absl::StrCat("it ended after ", conditioning_.bytes.size(), " of ",
                                    conditioning_.header.ByteCount(), " bytes, without its trailer")));
  }
  Conditioning whole = std::move(conditioning_);
  Fail(absl::FailedPreconditionError("conditioning stream: its block has been taken already")).IgnoreError();
  return whole;
}

absl::Status ConditioningReceiver::Fail(absl::Status error) {
  state_ = State::kFailed;
  conditioning_ = Conditioning();
  error_ = std::move(error);
  return error_;
}

}  // namespace diptych
