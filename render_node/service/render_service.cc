#include "render_node/service/render_service.h"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/digest/sha256.h"
#include "common/error/status.h"
#include "common/net/grpc_status.h"
#include "common/net/peer.h"
#include "common/version/version.h"
#include "common/wire/machine_codec.h"
#include "render_node/jobs/job_parameters.h"
#include "render_node/jobs/source_picture.h"
#include "render_node/service/job_messages.h"
#include "render_node/service/service_status.h"
#include "render_node/service/submit_call.h"
#include "render_node/service/upload_input_call.h"
#include "render_node/service/watch_call.h"

namespace diptych {
namespace {

// A page of jobs stays well below the 4 MiB that a gRPC client takes by default.
constexpr int64_t kMaxListBytes = int64_t{3} << 20;
constexpr int kMostInputs = 64;  // of one FindInputs
constexpr char kUploadRetryMs[] = "10000";

absl::StatusOr<JobFilter> FilterOf(const v1::ListRequest& request) {
  JobFilter filter;
  filter.limit = request.limit();
  filter.before_id = request.before_id();
  filter.client = request.client();
  filter.accepted_from_ms = request.accepted_from_unix_ms();
  filter.accepted_before_ms = request.accepted_before_unix_ms();
  filter.text = request.text();
  filter.id_part = request.id_part();
  for (const int number : request.states()) {
    const absl::StatusOr<JobState> state = StateAskedFor(static_cast<v1::JobState>(number));
    if (!state.ok()) return absl::InvalidArgumentError(absl::StrCat("states: ", state.status().message()));
    filter.states.insert(*state);
  }
  return filter;
}

std::string PromptForLog(const JobSpec& spec, bool in_full) {
  if (!spec.prompt) return "no prompt";
  const PromptParts& prompt = *spec.prompt;
  const std::string& words = prompt.conversation_json.empty() ? prompt.user : prompt.conversation_json;
  return in_full ? absl::StrCat("prompt \"", words, "\"") : absl::StrCat("prompt of ", words.size(), " bytes");
}

// What holds everybody up is for admins, where names are proven. The host's name stands for a client that gives none.
absl::StatusOr<std::string> HolderOf(const Callers& callers, const std::string& said,
                                     const grpc::ServerContextBase& context, std::string_view doing) {
  const absl::StatusOr<Caller> caller = callers.Of(said, context);
  if (!caller.ok()) return caller.status();
  if (caller->is_proven && !caller->is_admin) {
    return absl::PermissionDeniedError(absl::StrCat("the queue is everybody's: only an admin (render.admin_names) may ",
                                                    std::string(doing), " it, and your certificate says \"",
                                                    caller->name, "\""));
  }
  return caller->name.empty() ? HostOfPeer(context.peer()) : caller->name;
}

// Who ends a job, and whether that is theirs.
struct JobOwner {
  std::string asked_by;  // for the log: both names where they differ
};

// FAILED_PRECONDITION for the job of another client without force; PERMISSION_DENIED, with force or without, for one
// whose certificate says that it is another, and who is no admin. What is wrong with the id is the queue's to say, and
// a job that cannot be read is nobody's.
template <typename Request>
absl::StatusOr<JobOwner> OwnerFor(const Request& request, const grpc::ServerContextBase* context,
                                  const RenderServiceParts& parts, std::string_view doing) {
  const absl::StatusOr<Caller> caller = parts.callers.Of(request.client(), *context);
  if (!caller.ok()) return caller.status();
  const std::string& name = caller->name;
  if (name.empty()) return JobOwner{"a client that gives no name"};
  const absl::StatusOr<Job> job = parts.queue->Get(request.id());
  if (absl::IsNotFound(job.status()) || absl::IsInvalidArgument(job.status())) return job.status();
  const std::string client = job.ok() ? job->spec.client : "";
  if (!caller->MayActFor(client)) {
    return absl::PermissionDeniedError(absl::StrCat(
        job.ok() ? absl::StrCat("job ", job->id, " is of client \"", client, "\"") : "the job cannot be read",
        ", and your certificate says \"", name, "\"; only ", job.ok() ? "its client and " : "",
        "admins (render.admin_names) ", std::string(doing), " it"));
  }
  if (!job.ok() || client == name) return JobOwner{absl::StrCat("\"", name, "\"")};
  if (!request.force()) {
    return absl::FailedPreconditionError(absl::StrCat("job ", job->id, " is of client \"", client, "\", and you are \"",
                                                      name, "\"; --force ", std::string(doing), "s it all the same"));
  }
  return JobOwner{absl::StrCat("\"", name, "\", who is not its client \"", client, "\" (force)")};
}

// A call that ends before it has begun.
template <typename Reactor>
class RefusedCall final : public Reactor {
 public:
  explicit RefusedCall(const grpc::Status& status) { this->Finish(status); }

 private:
  void OnDone() override { delete this; }
};

absl::Status TooMany(const char* calls) {
  return absl::ResourceExhaustedError(
      absl::StrCat("there are as many calls of ", calls, " as there may be; try again when one has ended"));
}

}  // namespace

void RenderService::Open(RenderServiceParts parts) {
  parts_ = std::move(parts);
  parts_->queue->OnMove([this] { places_.RingBy(HeldCall::Clock::now() + kPlaceInterval); });
  open_.store(true, std::memory_order_release);
}

grpc::ServerUnaryReactor* RenderService::RefuseUnary() {
  return new RefusedCall<grpc::ServerUnaryReactor>(ToGrpcStatus(TooMany("this kind")));
}

grpc::Status RenderService::Answer(const char* method,
                                   const std::function<absl::Status(const RenderServiceParts&)>& work) const {
  absl::Status status;
  try {
    status = Readiness();
    if (status.ok()) status = work(*parts_);
  } catch (...) {
    status = StatusOfCurrentException();
  }
  return Told(method, status);
}

absl::Status RenderService::Readiness() const {
  if (!open_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the render daemon is still loading its model; try again in some seconds");
  }
  return parts_->queue->stopping() ? IsStopping() : absl::OkStatus();
}

grpc::Status RenderService::Told(const char* method, const absl::Status& status) const {
  if (absl::IsInternal(status)) log_.Error(absl::StrCat(method, ": ", status.message()));
  return ToGrpcStatus(status);
}

grpc::Status RenderService::Describe(grpc::ServerContextBase*, const v1::DescribeRendererRequest*,
                                     v1::DescribeRendererResponse* response) {
  return Answer("Describe", [&](const RenderServiceParts& parts) {
    const RendererFacts& facts = parts.facts;
    response->set_program_version(kVersion);
    response->set_transformer_fingerprint(facts.transformer_fingerprint);
    response->set_vae_fingerprint(facts.vae_fingerprint);
    response->set_cap_feat_dim(facts.cap_feat_dim);
    response->set_row_limit(facts.row_limit);
    response->set_size_multiple(facts.size_multiple);
    response->set_max_side(facts.max_side);
    response->set_default_shift(DefaultShift(facts, facts.defaults.width, facts.defaults.height));
    v1::ModelDefaults& defaults = *response->mutable_defaults();
    defaults.set_width(facts.defaults.width);
    defaults.set_height(facts.defaults.height);
    defaults.set_steps(facts.defaults.steps);
    defaults.set_guidance_scale(facts.defaults.guidance_scale);
    for (const std::string& word : facts.defaults.words) defaults.add_words(word);
    defaults.set_words_described_in(facts.defaults.words_described_in);
    response->set_schedule(ToText(facts.schedule));
    response->set_shift_follows_size(facts.dynamic_shift.has_value());
    response->set_dtype(facts.dtype);
    response->set_device(facts.device);
    response->set_threads(facts.threads);
    response->set_tile_size(facts.tiling.tiles.size);
    response->set_tile_overlap(facts.tiling.tiles.overlap);
    response->set_tiles_beyond(facts.tiling.beyond);
    response->set_max_pixels(parts.limits.pixels);
    response->set_max_steps(parts.limits.steps);
    response->set_max_prompt_tokens(parts.limits.prompt_tokens);
    response->set_client_queue_limit(parts.queue->client_limit());
    response->set_input_limit(parts.inputs->limits().input_bytes);
    response->set_queued(static_cast<int32_t>(parts.queue->waiting()));
    response->set_running(static_cast<int32_t>(parts.queue->running()));
    if (const std::optional<QueuePause> pause = parts.queue->pause()) *response->mutable_pause() = ToProto(*pause);
    {
      std::unique_lock asks(asking_encoders_, std::defer_lock);
      if (parts.known_encoders) {
        (void)asks.try_lock();
      } else {
        asks.lock();
      }
      for (v1::EncoderStatus& encoder : asks.owns_lock() ? parts.encoders() : parts.known_encoders()) {
        *response->add_encoders() = std::move(encoder);
      }
    }
    if (parts.conditioning_store) *response->mutable_conditioning_store() = parts.conditioning_store();
    if (parts.state_folder) *response->mutable_state_folder() = parts.state_folder();
    *response->mutable_machine() = ToProto(facts.machine, ReadMemoryFacts());
    response->set_largest_side(facts.LargestSide());
    return absl::OkStatus();
  });
}

grpc::ServerReadReactor<v1::SubmitRequest>* RenderService::Submit(grpc::CallbackServerContext* context,
                                                                  v1::SubmitResponse* response) {
  using Refused = RefusedCall<grpc::ServerReadReactor<v1::SubmitRequest>>;
  if (const absl::Status ready = Readiness(); !ready.ok()) return new Refused(Told("Submit", ready));
  const RenderServiceParts& parts = *parts_;
  const auto ended = [this, &parts](const absl::Status& status) {
    if (!status.ok() && parts.refused) parts.refused(status);
    return Told("Submit", status);
  };
  const auto call = std::make_shared<SubmitCall>(
      ReadingRoom{.calls = submits_,
                  .name = "Submit",
                  .message_within = room_.submit_message_within,
                  .whole_within = room_.submit_within},
      uploads_, std::make_unique<SubmissionReader>(parts.facts, parts.prompt_byte_limit, parts.limits), context,
      [this, &parts, context, response](SubmissionReader& submission) {
        return Accept(parts, context, submission, response);
      },
      ended);
  if (!submits_.Enter(call)) return new Refused(ended(TooMany("Submit")));
  call->Begin();
  return call.get();
}

grpc::ServerReadReactor<v1::UploadInputRequest>* RenderService::UploadInput(grpc::CallbackServerContext* context,
                                                                            v1::UploadInputResponse*) {
  using Refused = RefusedCall<grpc::ServerReadReactor<v1::UploadInputRequest>>;
  if (const absl::Status ready = Readiness(); !ready.ok()) return new Refused(Told("UploadInput", ready));
  const auto ended = [this, context](const absl::Status& status) {
    if (absl::IsResourceExhausted(status)) context->AddTrailingMetadata("retry-after-ms", kUploadRetryMs);
    return Told("UploadInput", status);
  };
  const auto call = std::make_shared<UploadInputCall>(ReadingRoom{.calls = input_uploads_,
                                                                  .name = "UploadInput",
                                                                  .message_within = room_.submit_message_within,
                                                                  .whole_within = room_.submit_within},
                                                      *parts_->inputs, parts_->check_room,
                                                      NetworkOfHost(HostOfPeer(context->peer())), context, ended);
  if (!input_uploads_.Enter(call)) return new Refused(ended(TooMany("UploadInput")));
  call->Begin();
  return call.get();
}

grpc::Status RenderService::FindInputs(grpc::ServerContextBase*, const v1::FindInputsRequest* request,
                                       v1::FindInputsResponse* response) {
  return Answer("FindInputs", [&](const RenderServiceParts& parts) -> absl::Status {
    if (request->sha256_size() > kMostInputs) {
      return absl::InvalidArgumentError(
          absl::StrCat("sha256 has ", request->sha256_size(), " entries, the limit is ", kMostInputs));
    }
    for (const std::string& hash : request->sha256()) {
      if (!IsSha256Hex(hash)) {
        return absl::InvalidArgumentError("sha256 is not the SHA-256 of an input, 64 lower-case hexadecimal digits");
      }
      if (!parts.inputs->Renew(hash)) response->add_missing(hash);
    }
    return absl::OkStatus();
  });
}

absl::Status RenderService::Accept(const RenderServiceParts& parts, grpc::ServerContextBase* context,
                                   SubmissionReader& submission, v1::SubmitResponse* response) const {
  if (parts.check_room) parts.check_room();
  const absl::StatusOr<ValidSubmission> valid = submission.Finish();
  if (!valid.ok()) return valid.status();
  JobSpec spec = valid->spec;
  const std::string host = HostOfPeer(context->peer());
  const absl::StatusOr<Caller> caller = parts.callers.Of(spec.client, *context);
  if (!caller.ok()) return caller.status();
  spec.client = caller->name.empty() ? host : caller->name;
  for (const auto& [role, input] : InputsOf(spec)) {
    if (parts.inputs->Renew(input.hex)) continue;  // it stays until the job's row names it
    return absl::FailedPreconditionError(
        absl::StrCat(std::string(role), ": the renderer has no input ", input.hex,
                     "; it was never uploaded, or is not kept any more: upload it first"));
  }
  if (absl::Status s = Guard([&] { CheckInputs(spec, *parts.inputs); }); !s.ok()) return s;
  const bool stored =
      !valid->uploaded.positive && parts.source != nullptr && IsStored(*parts.source, spec, parts.facts);
  const absl::StatusOr<SubmittedJob> job = parts.queue->Submit(spec, valid->uploaded, stored, NetworkOfHost(host));
  if (!job.ok()) {
    if (const auto retry = job.status().GetPayload(kRetryAfterPayload)) {
      context->AddTrailingMetadata("retry-after-ms", std::string(*retry));
    }
    return job.status();
  }
  if (job->is_new) {
    LogAccepted(parts, *job, spec, valid->uploaded.positive.has_value());
  } else {
    log_.ForJob(job->id).Info("submitted again with its idempotency key");
  }
  response->set_id(job->id);
  response->set_jobs_ahead(static_cast<int32_t>(job->jobs_ahead));
  if (job->wait_ms) response->set_wait_ms(*job->wait_ms);
  response->set_is_repeat(!job->is_new);
  return absl::OkStatus();
}

void RenderService::LogAccepted(const RenderServiceParts& parts, const SubmittedJob& job, const JobSpec& spec,
                                bool uploaded) const {
  log_.ForJob(job.id).Info(absl::StrCat("accepted from \"", spec.client, "\": ", spec.width, "x", spec.height, ", ",
                                        spec.steps, " steps, seed ", spec.seed, ", ",
                                        PromptForLog(spec, parts.log_prompts),
                                        uploaded ? ", uploaded conditioning" : "", ", jobs ahead: ", job.jobs_ahead));
}

grpc::ServerWriteReactor<v1::WatchResponse>* RenderService::Watch(grpc::CallbackServerContext* context,
                                                                  const v1::WatchRequest* request) {
  using Refused = RefusedCall<grpc::ServerWriteReactor<v1::WatchResponse>>;
  if (const absl::Status ready = Readiness(); !ready.ok()) return new Refused(Told("Watch", ready));
  const auto call = std::make_shared<WatchCall>(
      WatchRoom{.watchers = watchers_, .unread = unread_, .write_within = room_.taken_within, .moves = moves_},
      *parts_->queue, *parts_->pictures, context, *request,
      [this](const absl::Status& status) { return Told("Watch", status); });
  if (!watchers_.Enter(call)) return new Refused(Told("Watch", TooMany("Watch")));
  call->Begin();
  return call.get();
}

grpc::Status RenderService::Cancel(grpc::ServerContextBase* context, const v1::CancelRequest* request,
                                   v1::CancelResponse* response) {
  return Answer("Cancel", [&](const RenderServiceParts& parts) {
    const absl::StatusOr<JobOwner> owner = OwnerFor(*request, context, parts, "cancel");
    if (!owner.ok()) return owner.status();
    const absl::StatusOr<Job> job = parts.queue->Cancel(request->id());
    if (!job.ok()) return job.status();
    *response->mutable_job() = ToProto(*job);
    if (job->state == JobState::kCancelled) {
      log_.ForJob(job->id).Info(absl::StrCat("asked to end by ", owner->asked_by));
    }
    return absl::OkStatus();
  });
}

grpc::Status RenderService::Delete(grpc::ServerContextBase* context, const v1::DeleteRequest* request,
                                   v1::DeleteResponse*) {
  return Answer("Delete", [&](const RenderServiceParts& parts) {
    const absl::StatusOr<JobOwner> owner = OwnerFor(*request, context, parts, "remove");
    if (!owner.ok()) return owner.status();
    const absl::Status deleted = parts.queue->Delete(request->id());
    if (deleted.ok()) log_.ForJob(request->id()).Info(absl::StrCat("removed by ", owner->asked_by));
    return deleted;
  });
}

grpc::Status RenderService::Pause(grpc::ServerContextBase* context, const v1::PauseRequest* request,
                                  v1::PauseResponse* response) {
  return Answer("Pause", [&](const RenderServiceParts& parts) {
    const absl::StatusOr<std::string> by = HolderOf(parts.callers, request->client(), *context, "pause");
    if (!by.ok()) return by.status();
    response->set_was_paused(parts.queue->pause().has_value());
    const absl::StatusOr<QueuePause> pause = parts.queue->Pause(*by);
    if (!pause.ok()) return pause.status();
    *response->mutable_pause() = ToProto(*pause);
    if (!response->was_paused()) log_.Warn(absl::StrCat("the queue is paused by \"", *by, "\""));
    return absl::OkStatus();
  });
}

grpc::Status RenderService::Resume(grpc::ServerContextBase* context, const v1::ResumeRequest* request,
                                   v1::ResumeResponse* response) {
  return Answer("Resume", [&](const RenderServiceParts& parts) {
    const absl::StatusOr<std::string> by = HolderOf(parts.callers, request->client(), *context, "resume");
    if (!by.ok()) return by.status();
    const std::optional<QueuePause> pause = parts.queue->pause();
    const bool named = !request->client().empty();
    if (pause && named && pause->by != *by && !request->force()) {
      return absl::FailedPreconditionError(absl::StrCat("the queue was paused by client \"", pause->by,
                                                        "\", and you are \"", *by,
                                                        "\"; --force resumes it all the same"));
    }
    const absl::StatusOr<std::optional<QueuePause>> ended = parts.queue->Resume();
    if (!ended.ok()) return ended.status();
    if (!ended->has_value()) return absl::OkStatus();
    *response->mutable_pause() = ToProto(**ended);
    const bool forced = named && (*ended)->by != *by;
    log_.Info(absl::StrCat("the queue is resumed by \"", *by, "\"; it was paused by \"", (*ended)->by, "\"",
                           forced ? " (force)" : ""));
    return absl::OkStatus();
  });
}

grpc::Status RenderService::Get(grpc::ServerContextBase*, const v1::GetRequest* request, v1::GetResponse* response) {
  return Answer("Get", [&](const RenderServiceParts& parts) {
    const absl::StatusOr<Job> job = parts.queue->Get(request->id());
    if (job.ok()) *response->mutable_job() = ToProto(*job, parts.queue->OutlookOf(*job));
    return job.status();
  });
}

grpc::Status RenderService::List(grpc::ServerContextBase* context, const v1::ListRequest* request,
                                 v1::ListResponse* response) {
  return Answer("List", [&](const RenderServiceParts& parts) -> absl::Status {
    const std::optional<CallShares::Place> place = lists_.Take(NetworkOfHost(HostOfPeer(context->peer())));
    if (!place) {
      context->AddTrailingMetadata("retry-after-ms", "1000");
      return absl::ResourceExhaustedError("others are listing jobs, as many as may at a time; try again in 1 s");
    }
    absl::StatusOr<JobFilter> filter = FilterOf(*request);
    if (!filter.ok()) return filter.status();
    filter->bytes = kMaxListBytes;
    filter->abandoned = [context] { return context->IsCancelled(); };
    const absl::StatusOr<std::vector<Job>> jobs = parts.queue->List(*filter);
    if (!jobs.ok()) return jobs.status();
    int64_t bytes = 0;
    for (const Job& job : *jobs) {
      v1::Job message = ToProto(job);
      bytes += static_cast<int64_t>(message.ByteSizeLong());
      if (bytes > kMaxListBytes && response->jobs_size() > 0) break;  // the next page goes on from here
      *response->add_jobs() = std::move(message);
    }
    return absl::OkStatus();
  });
}

}  // namespace diptych
