#include "common/wire/encode_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/conditioning/encode_input_hash.h"
#include "common/wire/enums.h"

namespace diptych {
namespace {

constexpr size_t kLongestText = 200;   // bytes of a name that an encoder gives itself
constexpr int64_t kMostLayers = 1000;  // as many as --hidden-layer can name
constexpr int64_t kMostThreads = 1'000'000;
// A token is of one byte of the text at least, and NFC makes no text more than three times as long.
constexpr int64_t kMostTokensAByte = 3;

absl::Status Broken(const std::string& reason) { return absl::DataLossError(absl::StrCat("encode stream: ", reason)); }

bool IsFingerprint(const std::string& text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

absl::Status OutOfRange(const char* field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("it says ", field, " ", value, ", which is not from ", least, " to ", most));
}

}  // namespace

absl::Status CheckDescription(const v1::DescribeEncoderResponse& said) {
  const std::pair<const char*, const std::string&> fingerprints[] = {
      {"model_fingerprint", said.model_fingerprint()}, {"tokenizer_fingerprint", said.tokenizer_fingerprint()}};
  for (const auto& [field, text] : fingerprints) {
    if (IsFingerprint(text)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("its ", field, " of ", text.size(), " bytes is not 64 lower-case hexadecimal digits"));
  }
  if (!FromProto(said.dtype()).ok()) return absl::FailedPreconditionError("it does not say its number format");
  const std::pair<const char*, const std::string&> texts[] = {
      {"program_version", said.program_version()},     {"device", said.device()},
      {"machine.libtorch", said.machine().libtorch()}, {"machine.blas", said.machine().blas()},
      {"machine.gpu", said.machine().gpu()},           {"machine.limited_by", said.machine().limited_by()}};
  for (const auto& [field, text] : texts) {
    if (text.size() <= kLongestText) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("its ", field, " has ", text.size(), " bytes, at most ", kLongestText, " are allowed"));
  }
  if (absl::Status s = OutOfRange("width", said.width(), 1, kMaxConditioningWidth); !s.ok()) return s;
  // An older encoder leaves out what it does not know.
  if (absl::Status s = OutOfRange("layers", said.layers(), 0, kMostLayers); !s.ok()) return s;
  if (absl::Status s = OutOfRange("threads", said.threads(), 0, kMostThreads); !s.ok()) return s;
  return OutOfRange("prompt_byte_limit", said.prompt_byte_limit(), 0, int64_t{1} << 40);
}

EncodeStream::EncodeStream(EncodeExpectation expected)
    : expected_(std::move(expected)), input_sha256_(EncodeInputHash(expected_.input)) {}

absl::Status EncodeStream::Add(const v1::EncodeResponse& response) {
  if (response.has_progress()) {
    return has_info_ ? Broken("progress after the info message") : absl::OkStatus();
  }
  if (response.has_info()) return AddInfo(response.info());
  if (!has_info_) return Broken("it does not begin with an info message");
  if (!response.has_frame()) return Broken("a message is neither info nor frame");
  absl::Status added = receiver_.Add(response.frame());
  if (absl::IsInvalidArgument(added)) added = absl::DataLossError(added.message());  // the encoder's fault, not ours
  if (!added.ok() || !response.frame().has_header()) return added;
  return CheckHeader(response.frame().header());
}

absl::Status EncodeStream::AddInfo(const v1::EncodeInfo& info) {
  if (has_info_) return Broken("a second info message");
  has_info_ = true;
  encode_ms_ = info.encode_ms();
  if (info.formatted_text() == expected_.input.text) return absl::OkStatus();
  return Broken(absl::StrCat("it is of another text, ", info.formatted_text().size(), " bytes long, where ",
                             expected_.input.text.size(), " were asked for"));
}

absl::Status EncodeStream::CheckHeader(const v1::ConditioningHeader& header) const {
  if (expected_.width != 0 && header.width() != expected_.width) {
    return absl::FailedPreconditionError(absl::StrCat("its hidden states are ", header.width(),
                                                      " wide, this renderer's transformer takes ", expected_.width));
  }
  if (header.layer() != expected_.layer) {
    return absl::FailedPreconditionError(
        absl::StrCat("it sent layer ", header.layer(), ", asked for was ", expected_.layer));
  }
  const v1::LongPromptMode mode = ToProto(expected_.long_prompt_mode);
  if (header.long_prompt_mode() != mode) {
    return absl::FailedPreconditionError(absl::StrCat("it sent ", v1::LongPromptMode_Name(header.long_prompt_mode()),
                                                      ", asked for was ", v1::LongPromptMode_Name(mode)));
  }
  const int64_t tokens = header.token_count(), rows = header.rows();
  if (tokens < rows) return Broken(absl::StrCat("its header has ", rows, " rows of ", tokens, " tokens"));
  if (expected_.row_limit > 0 && rows > expected_.row_limit) {
    return absl::FailedPreconditionError(
        absl::StrCat("it sent ", rows, " rows, asked for were at most ", expected_.row_limit));
  }
  const int64_t due = expected_.row_limit > 0 ? std::min(tokens, expected_.row_limit) : tokens;
  if (rows != due) return Broken(absl::StrCat("its header has ", rows, " rows where ", tokens, " tokens give ", due));
  const int64_t most = kMostTokensAByte * static_cast<int64_t>(expected_.input.text.size());
  if (tokens > most) {
    return Broken(
        absl::StrCat("its header has ", tokens, " tokens of a text of ", expected_.input.text.size(), " bytes"));
  }
  if (expected_.token_limit > 0 && tokens > expected_.token_limit) {
    return Broken(
        absl::StrCat("its header has ", tokens, " tokens, more than ", expected_.token_limit, " were to be refused"));
  }
  if (header.text_sha256() != input_sha256_) return Broken("its header has the hash of another text");
  return absl::OkStatus();
}

}  // namespace diptych
