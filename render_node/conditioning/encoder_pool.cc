#include "render_node/conditioning/encoder_pool.h"

#include <utility>

#include "common/error/error.h"
#include "common/prompt/encode_input.h"
#include "render_node/conditioning/encode_call.h"
#include "render_node/conditioning/encoder_watch.h"

namespace diptych {
namespace {

EncoderRosterOptions RosterOptions(const EncoderPoolOptions& options) {
  EncoderRosterOptions roster;
  for (const Address& address : options.encoders) roster.addresses.push_back(address.ToString());
  roster.expected_width = options.expected_width;
  roster.expected_model_fingerprint = options.expected_model_fingerprint;
  roster.remembered = options.remembered_identity;
  roster.check_interval = options.check_interval;
  roster.first_pause = options.first_pause;
  roster.longest_pause = options.longest_pause;
  return roster;
}

std::unique_ptr<EncoderWatch> MakeWatch(const EncoderPoolOptions& options) {
  if (options.encoders.empty()) throw Error(ErrorCode::kInvalidArgument, "no encoder is configured");
  return std::make_unique<EncoderWatch>(options.encoders, options.credentials, RosterOptions(options), options.log);
}

}  // namespace

EncoderPool::EncoderPool(EncoderPoolOptions options) : options_(std::move(options)), encoders_(MakeWatch(options_)) {}
EncoderPool::~EncoderPool() = default;

FetchResult EncoderPool::Fetch(const FetchRequest& request, const CancelToken& cancel,
                               const std::function<void(const std::string& reason)>& on_waiting) {
  const EncodeInput input = EncodeInputOf(request.prompt);
  absl::StatusOr<FetchResult> result;
  const auto encode = [&](const EncoderConnection& encoder) {
    result = CallEncode(encoder, request, input, options_.expected_width, cancel);
    return result.status();
  };
  Call({.ask = encode, .gives_rows = true}, options_.limits, cancel, on_waiting);
  return *std::move(result);
}

void EncoderPool::Call(const EncoderCall& call, const EncoderCallLimits& limits, const CancelToken& cancel,
                       const std::function<void(const std::string& reason)>& on_waiting) {
  CallAnEncoder(*encoders_, call, limits, cancel, on_waiting);
}

std::optional<EncoderIdentity> EncoderPool::identity() const {
  return encoders_->Read([](const EncoderRoster& roster) { return roster.identity(); });
}

std::vector<EncoderPool::Report> EncoderPool::Describe() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<size_t> all;
  for (size_t i = 0; i < encoders_->size(); ++i) all.push_back(i);
  encoders_->Change([&](EncoderRoster& roster) {
    for (const size_t i : all) roster.LookNow(i, now);
  });
  encoders_->AwaitLooks(all, now, EncoderWatch::kLookTimeout, CancelToken());
  return Known();
}

std::vector<EncoderPool::Report> EncoderPool::Known() const {
  const std::vector<EncoderRoster::Member> members =
      encoders_->Read([](const EncoderRoster& roster) { return roster.members(); });
  std::vector<Report> reports;
  for (const EncoderRoster::Member& member : members) {
    Report& report = reports.emplace_back();
    report.address = member.address;
    report.state = member.state;
    report.reachable = member.reachable;
    report.refused = member.state == EncoderState::kRefused;
    report.error = member.state == EncoderState::kUnknown ? "no answer yet" : member.error;
    if (report.error.empty() && !member.doubt.empty()) {
      report.error = "in doubt, asked last: another encoder gave rows where it said: " + member.doubt;
    }
    if (member.identity) report.model_fingerprint = member.identity->model_fingerprint;
    report.width = member.width;
    report.in_flight = member.in_flight;
  }
  return reports;
}

}  // namespace diptych
