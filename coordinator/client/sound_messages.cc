#include "coordinator/client/sound_messages.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "common/foreign_text/foreign_text.h"

namespace diptych {
namespace {

constexpr int64_t kMostSide = 65536;                  // px
constexpr int64_t kMostSteps = 1000;                  // as job.proto says
constexpr int64_t kMostCount = 1'000'000'000;         // of whatever is counted
constexpr int64_t kMostUnixMs = 253'402'300'799'999;  // the end of the year 9999
constexpr double kMostMs = 1e13;                      // 300 years
constexpr int kMostEncoders = 1000;
constexpr int kMostWords = 100'000;
constexpr size_t kMostIdBytes = 64;

absl::Status NoSense(const std::string& what) {
  return absl::DataLossError(absl::StrCat("the renderer's answer makes no sense: ", what));
}

// The first thing that is wrong, or nothing.
class Check {
 public:
  void Range(const char* what, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most) Fail(absl::StrCat(what, " is ", value, ", not from ", least, " to ", most));
  }
  void Count(const char* what, int64_t value) { Range(what, value, 0, kMostCount); }
  void Bytes(const char* what, int64_t value) { Range(what, value, 0, INT64_MAX); }
  void Ms(const char* what, double value) {
    if (!(value >= 0 && value <= kMostMs)) Fail(absl::StrCat(what, " is ", value, " ms"));
  }
  void Number(const char* what, double value, double least, double most) {
    if (!(value >= least && value <= most)) Fail(absl::StrCat(what, " is ", value, ", not from ", least, " to ", most));
  }
  void Id(const char* what, std::string_view id) {
    if (!IsSoundId(id)) Fail(absl::StrCat(what, " ", QuotedForeignText(id), " is no id"));
  }
  void Hash(const char* what, std::string_view hash) {
    const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (hash.empty() || (hash.size() == 64 && std::all_of(hash.begin(), hash.end(), is_digit))) return;
    Fail(absl::StrCat(what, " ", QuotedForeignText(hash), " is not 64 hexadecimal digits"));
  }
  void Fail(const std::string& what) {
    if (status_.ok()) status_ = NoSense(what);
  }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

void CheckTimings(const v1::JobTimings& timings, Check& check) {
  check.Ms("queue_ms", timings.queue_ms());
  check.Ms("encode_ms", timings.encode_ms());
  check.Ms("transfer_ms", timings.transfer_ms());
  check.Ms("refine_ms", timings.refine_ms());
  check.Ms("decode_ms", timings.decode_ms());
  check.Ms("png_ms", timings.png_ms());
  check.Ms("total_ms", timings.total_ms());
  check.Range("the number of step_ms", timings.step_ms_size(), 0, kMostSteps);
  for (const double ms : timings.step_ms()) check.Ms("step_ms", ms);
}

void CheckPause(const v1::QueuePause& pause, Check& check) {
  check.Range("since_unix_ms", pause.since_unix_ms(), 0, kMostUnixMs);
}

void CheckFit(const v1::PromptFit& fit, Check& check) {
  check.Count("token_count", fit.token_count());
  check.Count("rows", fit.rows());
}

}  // namespace

bool IsSoundId(std::string_view id) {
  const auto is_sound = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  };
  return !id.empty() && id.size() <= kMostIdBytes && std::all_of(id.begin(), id.end(), is_sound);
}

absl::Status CheckSound(const v1::Job& job, std::string_view asked_id) {
  Check check;
  check.Id("the job", job.id());
  if (!asked_id.empty() && job.id() != asked_id) {
    check.Fail(absl::StrCat("it is about job ", ForeignText(job.id()), ", asked for was ", std::string(asked_id)));
  }
  check.Range("state", job.state(), v1::JOB_STATE_QUEUED, v1::JOB_STATE_CANCELLED);
  const v1::JobSpec& spec = job.spec();
  check.Range("width", spec.width(), 0, kMostSide);
  check.Range("height", spec.height(), 0, kMostSide);
  check.Range("steps", spec.steps(), 0, kMostSteps);
  check.Range("step", job.step(), 0, spec.steps() > 0 ? spec.steps() : kMostSteps);  // a damaged job has no spec
  check.Count("attempt", job.attempt());
  check.Range("accepted_unix_ms", job.accepted_unix_ms(), 0, kMostUnixMs);
  check.Range("finished_unix_ms", job.finished_unix_ms(), 0, kMostUnixMs);
  check.Range("deadline_unix_ms", job.deadline_unix_ms(), 0, kMostUnixMs);
  check.Bytes("sequence", job.sequence());
  check.Number("sigma", job.sigma(), 0, 1e6);
  if (job.has_left_ms()) check.Ms("left_ms", job.left_ms());
  if (job.has_until_done_ms()) check.Ms("until_done_ms", job.until_done_ms());
  CheckTimings(job.timings(), check);
  if (job.has_prompt_fit()) CheckFit(job.prompt_fit(), check);
  if (job.has_negative_fit()) CheckFit(job.negative_fit(), check);
  check.Hash("picture_sha256", job.picture_sha256());
  check.Bytes("picture_bytes", job.picture_bytes());
  check.Count("tiles", job.decoding().tiles());
  check.Range("tiles_done", job.decoding().tiles_done(), 0, std::max(job.decoding().tiles(), 0));
  if (job.has_place()) {
    check.Count("jobs_ahead", job.place().jobs_ahead());
    check.Range("others_ahead", job.place().others_ahead(), 0, std::max(job.place().jobs_ahead(), 0));
    if (job.place().has_wait_ms()) check.Ms("wait_ms", job.place().wait_ms());
    if (job.place().has_pause()) CheckPause(job.place().pause(), check);
  }
  return check.status();
}

absl::Status CheckSound(const v1::SubmitResponse& response) {
  Check check;
  check.Id("the job", response.id());
  check.Count("jobs_ahead", response.jobs_ahead());
  if (response.has_wait_ms()) check.Ms("wait_ms", response.wait_ms());
  return check.status();
}

absl::Status CheckSound(const v1::DescribeRendererResponse& response) {
  Check check;
  check.Hash("transformer_fingerprint", response.transformer_fingerprint());
  check.Hash("vae_fingerprint", response.vae_fingerprint());
  check.Count("cap_feat_dim", response.cap_feat_dim());
  check.Count("row_limit", response.row_limit());
  check.Range("size_multiple", response.size_multiple(), 0, kMostSide);
  check.Range("max_side", response.max_side(), 0, kMostSide);
  check.Range("largest_side", response.largest_side(), 0, kMostSide);
  check.Range("tile_size", response.tile_size(), 0, kMostSide);
  check.Range("tile_overlap", response.tile_overlap(), 0, kMostSide);
  check.Range("tiles_beyond", response.tiles_beyond(), 0, kMostSide);
  check.Number("default_shift", response.default_shift(), 0, 1e6);
  check.Count("threads", response.threads());
  check.Count("queued", response.queued());
  check.Count("running", response.running());
  check.Bytes("max_pixels", response.max_pixels());
  check.Count("max_steps", response.max_steps());
  check.Count("max_prompt_tokens", response.max_prompt_tokens());
  check.Count("client_queue_limit", response.client_queue_limit());
  check.Count("input_limit", response.input_limit());
  if (response.has_defaults()) {
    const v1::ModelDefaults& defaults = response.defaults();
    check.Range("defaults.width", defaults.width(), 16, kMostSide);
    check.Range("defaults.height", defaults.height(), 16, kMostSide);
    check.Range("defaults.steps", defaults.steps(), 1, kMostSteps);
    check.Number("defaults.guidance_scale", defaults.guidance_scale(), 0, 1000);
    check.Range("the number of words", defaults.words_size(), 0, kMostWords);
  }
  check.Range("the number of encoders", response.encoders_size(), 0, kMostEncoders);
  for (const v1::EncoderStatus& encoder : response.encoders()) {  // the rest is what the encoder says, not the renderer
    check.Count("in_flight", encoder.in_flight());
  }
  const v1::ConditioningStoreStatus& store = response.conditioning_store();
  for (const int64_t count : {store.memory_hits(), store.disk_hits(), store.misses(), store.damaged(),
                              store.disk_failures(), store.memory_bytes(), store.disk_bytes(), store.entries()}) {
    check.Bytes("a count of conditioning_store", count);
  }
  check.Bytes("free_bytes", response.state_folder().free_bytes());
  if (response.has_pause()) CheckPause(response.pause(), check);
  return check.status();
}

}  // namespace diptych
