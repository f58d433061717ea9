#include "coordinator/client/render_client.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "common/wire/conditioning_codec.h"
#include "coordinator/client/connection.h"
#include "coordinator/client/messages.h"
#include "coordinator/client/picture_assembly.h"
#include "diptych/v1/render.grpc.pb.h"

namespace diptych {
namespace {

constexpr std::string_view kPeer = "the renderer";

constexpr char kRetryAfter[] = "retry-after-ms";                    // trailing metadata
constexpr char kRetryAfterPayload[] = "diptych/retry-after-ms";     // the same in a status
constexpr int64_t kShortestRetryMs = 10, kLongestRetryMs = 60'000;  // whatever the renderer says

// The status, with what the renderer said of another try.
absl::Status WithRetryDelay(absl::Status status, const grpc::ClientContext& context) {
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto found = metadata.find(kRetryAfter);
  if (status.code() == absl::StatusCode::kResourceExhausted && found != metadata.end()) {
    status.SetPayload(kRetryAfterPayload, absl::Cord(absl::string_view(found->second.data(), found->second.size())));
  }
  return status;
}

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

}  // namespace

std::optional<std::chrono::milliseconds> RetryDelay(const absl::Status& status) {
  const absl::optional<absl::Cord> text = status.GetPayload(kRetryAfterPayload);
  int64_t ms = 0;
  if (!text || !absl::SimpleAtoi(std::string(*text), &ms)) return std::nullopt;
  return std::chrono::milliseconds(std::clamp(ms, kShortestRetryMs, kLongestRetryMs));
}

struct RenderClient::Stub {
  explicit Stub(std::shared_ptr<grpc::Channel> channel) : renderer(v1::Renderer::NewStub(std::move(channel))) {}
  const std::unique_ptr<v1::Renderer::Stub> renderer;
};

absl::StatusOr<std::unique_ptr<RenderClient>> RenderClient::Make(const std::string& address, bool insecure,
                                                                 std::chrono::milliseconds timeout) {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Connect(address, insecure, kPeer);
  if (!channel.ok()) return channel.status();
  return std::unique_ptr<RenderClient>(new RenderClient(address, timeout, std::make_unique<Stub>(*std::move(channel))));
}

RenderClient::RenderClient(std::string address, std::chrono::milliseconds timeout, std::unique_ptr<Stub> stub)
    : address_(std::move(address)), timeout_(timeout), stub_(std::move(stub)) {}
RenderClient::~RenderClient() = default;

absl::StatusOr<RendererDescription> RenderClient::Describe() const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::DescribeRendererResponse response;
  const grpc::Status status = stub_->renderer->Describe(&context, {}, &response);
  if (!status.ok()) return CallStatus(status, kPeer, address_);
  return DescriptionFromMessage(response);
}

absl::StatusOr<Submission> RenderClient::Submit(const PictureRequest& request) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::SubmitResponse response;
  const std::unique_ptr<grpc::ClientWriter<v1::SubmitRequest>> writer = stub_->renderer->Submit(&context, &response);
  v1::SubmitRequest message;
  *message.mutable_spec() = SpecMessage(request);
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
  if (!status.ok()) return WithRetryDelay(CallStatus(status, kPeer, address_), context);
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
  if (!status.ok()) return CallStatus(status, kPeer, address_);
  return JobFromMessage(response.job());
}

absl::Status RenderClient::ForEachJob(const JobSelection& selection,
                                      const std::function<bool(const JobView&)>& on_job) const {
  v1::ListRequest request;
  request.set_limit(selection.page);
  const auto wanted = [&](v1::JobState state) {
    if (selection.states.empty()) return true;
    return std::any_of(selection.states.begin(), selection.states.end(),
                       [&](JobView::State one) { return StateMessage(one) == state; });
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
  while (true) {
    grpc::ClientContext context;
    SetDeadline(context, timeout_);
    v1::ListResponse response;
    const grpc::Status status = stub_->renderer->List(&context, request, &response);
    if (!status.ok()) return CallStatus(status, kPeer, address_);
    for (const v1::Job& job : response.jobs()) {
      if (!on_job(JobFromMessage(job))) return absl::OkStatus();
    }
    if (response.jobs().empty()) break;  // a short page is not the last: the renderer bounds a page by bytes too
    request.set_before_id(response.jobs().rbegin()->id());
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
  if (!status.ok()) return CallStatus(status, kPeer, address_);
  return JobFromMessage(response.job());
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
  return status.ok() ? absl::OkStatus() : CallStatus(status, kPeer, address_);
}

absl::StatusOr<PauseOutcome> RenderClient::Pause(const Caller& caller) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::PauseRequest request;
  request.set_client(caller.name);
  v1::PauseResponse response;
  const grpc::Status status = stub_->renderer->Pause(&context, request, &response);
  if (!status.ok()) return CallStatus(status, kPeer, address_);
  return PauseOutcome{PauseFromMessage(response.pause()), response.was_paused()};
}

absl::StatusOr<std::optional<QueuePauseView>> RenderClient::Resume(const Caller& caller) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::ResumeRequest request;
  request.set_client(caller.name);
  v1::ResumeResponse response;
  const grpc::Status status = stub_->renderer->Resume(&context, request, &response);
  if (!status.ok()) return CallStatus(status, kPeer, address_);
  if (!response.has_pause()) return std::optional<QueuePauseView>();
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
  const std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader = stub_->renderer->Watch(&context, request);

  reader->WaitForInitialMetadata();
  if (context.GetServerInitialMetadata().count("watching") > 0) options.on_connected();
  WatchResult result;
  if (options.last_seen != nullptr) result.job = *options.last_seen;
  PictureAssembly picture;
  absl::Status broken;
  for (v1::WatchResponse event; broken.ok() && reader->Read(&event);) {
    if (event.has_job()) {
      result.job = JobFromMessage(event.job());
      on_job(result.job);
    } else if (event.has_preview()) {
      if (options.on_preview) options.on_preview(event.preview().step(), event.preview().jpeg());
    } else if (event.has_picture()) {
      const v1::PictureChunk& piece = event.picture();
      broken = picture.Add(piece.offset(), piece.data(), piece.byte_count(), piece.sha256());
    }
  }
  if (!broken.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!broken.ok()) return broken;
  if (!status.ok()) return CallStatus(status, kPeer, address_, stop);
  if (!result.job.Ended()) return absl::DataLossError("the renderer stopped reporting before job " + id + " ended");
  if (options.want_picture && result.job.state == JobView::State::kDone) {
    absl::StatusOr<std::string> png = picture.Finish();
    if (!png.ok()) return png.status();
    result.png = *std::move(png);
  }
  return result;
}

}  // namespace diptych
