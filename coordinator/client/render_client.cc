#include "coordinator/client/render_client.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/concurrency/alarm.h"
#include "common/error/error.h"
#include "common/image/png.h"
#include "common/net/grpc_status.h"
#include "common/wire/conditioning_codec.h"
#include "common/wire/job_codec.h"
#include "common/wire/job_report_codec.h"
#include "coordinator/client/connection.h"
#include "coordinator/client/messages.h"
#include "coordinator/client/picture_assembly.h"
#include "coordinator/client/sound_messages.h"
#include "diptych/v1/render.grpc.pb.h"

namespace diptych {
namespace {

constexpr char kPeer[] = "the renderer";

constexpr int64_t kMostListed = 1'000'000;                 // jobs in one list, whatever the renderer says
constexpr uint64_t kMostPixels = uint64_t{16384} * 16384;  // of a picture
constexpr std::chrono::milliseconds kShortestRetry{10}, kLongestRetry{60'000};  // whatever the renderer says

std::vector<v1::JobState> StatesOf(JobGroup group) {
  switch (group) {
    case JobGroup::kAll:
      return {v1::JOB_STATE_QUEUED,   v1::JOB_STATE_ENCODING, v1::JOB_STATE_READY,  v1::JOB_STATE_RENDERING,
              v1::JOB_STATE_DECODING, v1::JOB_STATE_DONE,     v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED};
    case JobGroup::kActive:
      return {v1::JOB_STATE_QUEUED, v1::JOB_STATE_ENCODING, v1::JOB_STATE_READY, v1::JOB_STATE_RENDERING,
              v1::JOB_STATE_DECODING};
    case JobGroup::kEnded:
      return {v1::JOB_STATE_DONE, v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED};
  }
  return {};
}

// The job, when it can be believed.
absl::StatusOr<JobView> ReadJob(const v1::Job& job, std::string_view asked_id) {
  if (absl::Status sound = CheckSound(job, asked_id); !sound.ok()) return sound;
  return JobFromMessage(job);
}

// DATA_LOSS unless these bytes are a picture, and of the job's size where the job says it.
absl::Status CheckPicture(const std::string& png, const JobView& job) {
  try {
    const Picture picture = DecodePng(png, {.max_pixels = kMostPixels}).picture;
    if (job.has_source_size) return absl::OkStatus();
    if (picture.width == job.width && picture.height == job.height) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("the renderer sent a picture of ", picture.width, "x", picture.height,
                                            " for job ", job.id, ", which is of ", job.width, "x", job.height));
  } catch (const Error& error) {
    return absl::DataLossError(
        absl::StrCat("what the renderer sent for job ", job.id, " is no picture: ", error.what()));
  }
}

bool IsJpeg(const std::string& bytes) { return bytes.compare(0, 3, "\xFF\xD8\xFF") == 0; }

// Ends a call whose peer says nothing though it owes an answer. Thread-safe.
class AnswerWatch {
 public:
  AnswerWatch(grpc::ClientContext& context, std::chrono::milliseconds patience)
      : context_(context), patience_(patience) {
    Came(/*next_is_owed=*/true);
  }

  // Something came; from now on the next is owed, or not: a job may wait for hours with nothing to say.
  void Came(bool next_is_owed) {
    const std::lock_guard lock(mutex_);
    late_ = next_is_owed ? Clock::now() + patience_ : Clock::time_point::max();
    alarm_.RingAt(late_);
  }
  bool silent() const {
    const std::lock_guard lock(mutex_);
    return silent_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  void Ring() {
    {
      const std::lock_guard lock(mutex_);
      if (Clock::now() < late_) return;  // something came at this moment
      silent_ = true;
    }
    context_.TryCancel();
  }

  grpc::ClientContext& context_;
  const std::chrono::milliseconds patience_;
  mutable std::mutex mutex_;
  Clock::time_point late_;  // max: nothing is owed
  bool silent_ = false;
  Alarm alarm_{[this] { Ring(); }};  // last: it uses the others
};

}  // namespace

std::optional<std::chrono::milliseconds> RetryDelay(const absl::Status& status) {
  return RetryAfter(status, kShortestRetry, kLongestRetry);
}

struct RenderClient::Stub {
  explicit Stub(std::shared_ptr<grpc::Channel> channel) : renderer(v1::Renderer::NewStub(std::move(channel))) {}
  const std::unique_ptr<v1::Renderer::Stub> renderer;
};

absl::StatusOr<std::unique_ptr<RenderClient>> RenderClient::Make(const std::string& address,
                                                                 const Credentials& credentials,
                                                                 std::chrono::milliseconds timeout) {
  const PeerAddress peer{kPeer, address, credentials};
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Connect(peer);
  if (!channel.ok()) return channel.status();
  return std::unique_ptr<RenderClient>(new RenderClient(peer, timeout, std::make_unique<Stub>(*std::move(channel))));
}

RenderClient::RenderClient(PeerAddress peer, std::chrono::milliseconds timeout, std::unique_ptr<Stub> stub)
    : peer_(std::move(peer)), timeout_(timeout), stub_(std::move(stub)) {}
RenderClient::~RenderClient() = default;

absl::StatusOr<RendererDescription> RenderClient::Describe() const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::DescribeRendererResponse response;
  const grpc::Status status = stub_->renderer->Describe(&context, {}, &response);
  if (!status.ok()) return CallStatus(status, peer_);
  if (absl::Status sound = CheckSound(response); !sound.ok()) return sound;
  return DescriptionFromMessage(response);
}

absl::Status RenderClient::UploadMissing(const PictureRequest& request) const {
  if (request.inputs.empty()) return absl::OkStatus();
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::FindInputsRequest wanted;
  for (const auto& [sha256, bytes] : request.inputs) wanted.add_sha256(sha256);
  v1::FindInputsResponse response;
  const grpc::Status status = stub_->renderer->FindInputs(&context, wanted, &response);
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError(
        absl::StrCat("the renderer at ", peer_.address, " is of a version that takes no pictures as input"));
  }
  if (!status.ok()) return CallStatus(status, peer_);
  for (const std::string& sha256 : response.missing()) {
    const auto input = request.inputs.find(sha256);
    if (input == request.inputs.end()) continue;  // none that was asked for
    if (absl::Status s = Upload(sha256, *input->second); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status RenderClient::Upload(const std::string& sha256, const std::string& bytes) const {
  constexpr size_t kPieceBytes = 1 << 19;
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::UploadInputResponse response;
  const auto writer = stub_->renderer->UploadInput(&context, &response);
  v1::UploadInputRequest message;
  message.mutable_head()->set_sha256(sha256);
  message.mutable_head()->set_byte_count(static_cast<int64_t>(bytes.size()));
  bool open = writer->Write(message);  // a write that fails: the status says why
  for (size_t at = 0; open && at < bytes.size(); at += kPieceBytes) {
    message.set_data(bytes.substr(at, kPieceBytes));
    open = writer->Write(message);
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  return status.ok() ? absl::OkStatus() : CallStatus(status, context, peer_);
}

absl::StatusOr<Submission> RenderClient::Submit(const PictureRequest& request) const {
  if (absl::Status s = UploadMissing(request); !s.ok()) return s;
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::SubmitResponse response;
  const std::unique_ptr<grpc::ClientWriter<v1::SubmitRequest>> writer = stub_->renderer->Submit(&context, &response);
  v1::SubmitRequest message;
  *message.mutable_spec() = ToProto(request);
  // A write that fails means that the renderer has answered already: its status, from Finish, says why.
  bool open = writer->Write(message);
  const auto upload = [&](const Conditioning& conditioning, bool negative) {
    return SendConditioning(conditioning, [&](const v1::ConditioningFrame& frame) {
      *(negative ? message.mutable_negative_conditioning() : message.mutable_conditioning()) = frame;
      return open = writer->Write(message);
    });
  };
  absl::Status sent;
  if (open && request.conditioning) sent = upload(*request.conditioning, /*negative=*/false);
  if (open && sent.ok() && request.negative_conditioning)
    sent = upload(*request.negative_conditioning, /*negative=*/true);
  if (!sent.ok() && sent.code() != absl::StatusCode::kCancelled) {
    context.TryCancel();
    (void)writer->Finish();
    return sent;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return CallStatus(status, context, peer_);
  if (absl::Status sound = CheckSound(response); !sound.ok()) return sound;
  Submission submission{response.id(), response.jobs_ahead(), std::nullopt, response.is_repeat()};
  if (response.has_wait_ms()) submission.wait_ms = response.wait_ms();
  return submission;
}

absl::StatusOr<JobView> RenderClient::Get(const std::string& id) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::GetRequest request;
  request.set_id(id);
  v1::GetResponse response;
  const grpc::Status status = stub_->renderer->Get(&context, request, &response);
  if (!status.ok()) return CallStatus(status, peer_);
  return ReadJob(response.job(), id);
}

absl::Status RenderClient::ForEachJob(const JobSelection& selection,
                                      const std::function<bool(const JobView&)>& on_job) const {
  v1::ListRequest request;
  request.set_limit(selection.page);
  const auto wanted = [&](v1::JobState state) {
    if (selection.states.empty()) return true;
    return std::any_of(selection.states.begin(), selection.states.end(),
                       [&](JobState one) { return ToProto(one) == state; });
  };
  for (const v1::JobState state : StatesOf(selection.group)) {
    if (wanted(state)) request.add_states(state);
  }
  if (request.states().empty()) return absl::OkStatus();  // none of the group is wanted
  request.set_client(selection.client);
  request.set_text(selection.text);
  request.set_id_part(selection.id_part);
  request.set_accepted_from_unix_ms(selection.accepted_from_unix_ms);
  request.set_accepted_before_unix_ms(selection.accepted_before_unix_ms);
  for (int64_t count = 0;;) {
    grpc::ClientContext context;
    SetDeadline(context, timeout_);
    v1::ListResponse response;
    const grpc::Status status = stub_->renderer->List(&context, request, &response);
    if (!status.ok()) return CallStatus(status, peer_);
    for (const v1::Job& job : response.jobs()) {
      const absl::StatusOr<JobView> view = ReadJob(job, "");
      if (!view.ok()) return view.status();
      // A list that does not go down never ends.
      if (!request.before_id().empty() && view->id >= request.before_id()) {
        return absl::DataLossError(absl::StrCat("the renderer's list makes no sense: job ", view->id, " comes after ",
                                                request.before_id(), ", which is not newer"));
      }
      if (++count > kMostListed) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the renderer lists more than ", kMostListed, " jobs; choose fewer"));
      }
      request.set_before_id(view->id);
      if (!on_job(*view)) return absl::OkStatus();
    }
    if (response.jobs().empty()) break;  // a short page is not the last: the renderer bounds a page by bytes too
  }
  return absl::OkStatus();
}

absl::StatusOr<JobView> RenderClient::Cancel(const std::string& id, const Caller& caller) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::CancelRequest request;
  request.set_id(id);
  request.set_client(caller.name);
  request.set_force(caller.force);
  v1::CancelResponse response;
  const grpc::Status status = stub_->renderer->Cancel(&context, request, &response);
  if (!status.ok()) return CallStatus(status, peer_);
  return ReadJob(response.job(), id);
}

absl::Status RenderClient::Delete(const std::string& id, const Caller& caller) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::DeleteRequest request;
  request.set_id(id);
  request.set_client(caller.name);
  request.set_force(caller.force);
  v1::DeleteResponse response;
  const grpc::Status status = stub_->renderer->Delete(&context, request, &response);
  return status.ok() ? absl::OkStatus() : CallStatus(status, peer_);
}

absl::StatusOr<PauseOutcome> RenderClient::Pause(const Caller& caller) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::PauseRequest request;
  request.set_client(caller.name);
  v1::PauseResponse response;
  const grpc::Status status = stub_->renderer->Pause(&context, request, &response);
  if (!status.ok()) return CallStatus(status, peer_);
  return PauseOutcome{PauseFromMessage(response.pause()), response.was_paused()};
}

absl::StatusOr<std::optional<QueuePause>> RenderClient::Resume(const Caller& caller) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::ResumeRequest request;
  request.set_client(caller.name);
  request.set_force(caller.force);
  v1::ResumeResponse response;
  const grpc::Status status = stub_->renderer->Resume(&context, request, &response);
  if (!status.ok()) return CallStatus(status, peer_);
  if (!response.has_pause()) return std::optional<QueuePause>();
  return std::optional(PauseFromMessage(response.pause()));
}

absl::StatusOr<WatchResult> RenderClient::Watch(const std::string& id, const WatchOptions& options,
                                                const std::function<void(const JobView&)>& on_job,
                                                CallStop* stop) const {
  grpc::ClientContext context;
  const CallStop::Guard stoppable(stop, context);
  v1::WatchRequest request;
  request.set_id(id);
  request.set_picture(options.want_picture);
  request.set_previews(static_cast<bool>(options.on_preview));
  if (options.last_seen != nullptr) request.set_after_sequence(options.last_seen->sequence);
  AnswerWatch answers(context, timeout_);
  const std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader = stub_->renderer->Watch(&context, request);

  reader->WaitForInitialMetadata();
  if (context.GetServerInitialMetadata().count("watching") > 0) {
    answers.Came(/*next_is_owed=*/false);
    options.on_connected();
  }
  WatchResult result;
  if (options.last_seen != nullptr) result.job = *options.last_seen;
  PictureAssembly picture;
  absl::Status broken;
  for (v1::WatchResponse event; broken.ok() && reader->Read(&event);) {
    answers.Came(/*next_is_owed=*/result.job.Ended());
    if (event.has_job()) {
      absl::StatusOr<JobView> job = ReadJob(event.job(), id);
      if (!job.ok()) {
        broken = job.status();
        break;
      }
      // Later reports have its beginning alone.
      if (job->prompts_shortened && result.job.prompt.size() > job->prompt.size()) {
        job->prompt = std::move(result.job.prompt);
        job->prompts_shortened = result.job.prompts_shortened;
      }
      result.job = *std::move(job);
      answers.Came(/*next_is_owed=*/result.job.Ended());
      on_job(result.job);
    } else if (event.has_preview()) {
      if (options.on_preview && IsJpeg(event.preview().jpeg())) {
        options.on_preview(event.preview().step(), event.preview().jpeg());
      }
    } else if (event.has_picture()) {
      const v1::PictureChunk& piece = event.picture();
      broken = picture.Add(piece.offset(), piece.data(), piece.byte_count(), piece.sha256());
    }
  }
  if (!broken.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!broken.ok()) return broken;
  if (answers.silent()) {
    return absl::UnavailableError(absl::StrCat("the renderer at ", peer_.address, " has said nothing for ",
                                               static_cast<double>(timeout_.count()) / 1000, " s"));
  }
  if (!status.ok()) return CallStatus(status, peer_, stop);
  if (!result.job.Ended()) return absl::DataLossError("the renderer stopped reporting before job " + id + " ended");
  if (options.want_picture && result.job.state == JobState::kDone) {
    absl::StatusOr<std::string> png = picture.Finish();
    if (!png.ok()) return png.status();
    if (absl::Status whole = CheckPicture(*png, result.job); !whole.ok()) return whole;
    result.png = *std::move(png);
  }
  return result;
}

}  // namespace diptych
