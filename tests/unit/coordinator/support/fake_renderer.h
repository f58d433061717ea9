// A renderer that paints grey pictures at once: the real protocol, served in this process.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/conditioning/conditioning_hash.h"
#include "common/digest/sha256.h"
#include "common/image/png.h"
#include "common/receipt/receipt.h"
#include "common/wire/conditioning_codec.h"
#include "diptych/v1/render.grpc.pb.h"

namespace diptych {

// A value that a test sets while the renderer serves.
template <typename T>
class Settable {
 public:
  explicit Settable(T value = {}) : value_(std::move(value)) {}
  Settable& operator=(T value) {
    std::lock_guard lock(mutex_);
    value_ = std::move(value);
    return *this;
  }
  T get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

class FakeRendererService final : public v1::Renderer::Service {
 public:
  FakeRendererService() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
  }
  ~FakeRendererService() override { server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1)); }

  std::string address;
  // What the test wants it to do. Atomic or Settable, because ThreadSanitizer cannot see that gRPC orders what a test
  // sets before a call and what the call's handler reads.
  Settable<std::string> fail_with;              // jobs fail with this line
  Settable<std::string> fails_alone;            // with fail_with: only this job does
  std::atomic<bool> away = false;               // every Watch call finds nobody
  std::atomic<bool> hang = false;               // jobs paint until they are cancelled
  std::atomic<bool> knows_no_id_parts = false;  // an older renderer: lists ignore them
  std::atomic<int> listed = 0;                  // jobs in answers to List
  std::atomic<bool> damage_picture = false;     // the picture's bytes do not match its checksum
  std::atomic<bool> has_refused_encoder = false;
  Settable<std::string> state_folder_problem;
  std::atomic<int64_t> tokens = 0, rows = 0;  // of the prompt; 0: it does not say
  std::atomic<int> queue_limit = 1'000'000;   // jobs that wait to be watched; more are refused with a delay
  // So many Watch calls report what was not seen, say nothing for 300 ms and lose the connection.
  std::atomic<int> dropped_watches = 0;
  std::atomic<std::chrono::milliseconds> drop_after{std::chrono::milliseconds(300)};
  std::atomic<bool> mute = false;  // Watch calls are taken, and nothing is said
  // Before every answer; for so long after the first Watch call, those find nobody.
  std::atomic<std::chrono::milliseconds> delay{std::chrono::milliseconds(0)};
  std::atomic<char> transformer_digit = 'a';  // its fingerprint is 64 of it
  Settable<std::string> encoder_fingerprint{std::string(64, 'c')};

  // What is done to every message before it goes out. They outlive the test's frame: what they use, they hold.
  template <typename... Arguments>
  using Twist = Settable<std::function<void(Arguments...)>>;
  Twist<v1::Job&> twist_job;
  Twist<v1::DescribeRendererResponse&> twist_description;
  Twist<v1::SubmitResponse&> twist_submission;
  Twist<const v1::ListRequest&, v1::ListResponse&> list;  // in place of the list
  Settable<std::string> instead_of_png;                   // of every picture
  Twist<Receipt&> twist_receipt;

  // "cancel job-1 by ada", "remove job-1 by ada, with force", "pause by ada", ...
  std::vector<std::string> asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }

  // Puts in `count` jobs of this state, older than all that are submitted: "id-0000", "id-0001", ...
  void AddOldJobs(int count, v1::JobState state) {
    std::lock_guard lock(mutex_);
    for (int i = 0; i < count; ++i) {
      std::string number = std::to_string(i);
      number.insert(0, 4 - number.size(), '0');
      v1::Job& job = jobs_["id-" + number];
      job.set_id("id-" + number);
      job.set_state(state);
    }
  }

  // What it has heard. Call under no lock; the calls are over by then.
  std::vector<v1::JobSpec> specs() {
    std::lock_guard lock(mutex_);
    return specs_;
  }
  std::string state(const std::string& id) {
    std::lock_guard lock(mutex_);
    return v1::JobState_Name(jobs_.at(id).state());
  }
  std::string uploaded_hash(const std::string& id) {
    std::lock_guard lock(mutex_);
    return hashes_[id];
  }
  std::vector<int64_t> after_sequences() {  // of the Watch calls
    std::lock_guard lock(mutex_);
    return after_sequences_;
  }
  std::vector<uint8_t> negative_bytes() {
    std::lock_guard lock(mutex_);
    return negative_bytes_;
  }
  int full_refusals() {
    std::lock_guard lock(mutex_);
    return full_refusals_;
  }
  bool AnyJobUnderWay() {
    std::lock_guard lock(mutex_);
    return watched_;
  }

  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeRendererRequest*,
                        v1::DescribeRendererResponse* response) override {
    std::this_thread::sleep_for(delay.load());
    response->set_program_version("9.9");
    response->set_transformer_fingerprint(std::string(64, transformer_digit));
    response->set_vae_fingerprint(std::string(64, 'b'));
    response->set_cap_feat_dim(2);
    response->set_row_limit(64);
    response->set_size_multiple(16);
    response->set_max_pixels(1'048'576);
    response->set_client_queue_limit(20);
    response->set_dtype("float32");
    response->set_device("cpu");
    v1::EncoderStatus* encoder = response->add_encoders();
    encoder->set_address("10.0.0.1:1");
    encoder->set_reachable(true);
    encoder->set_model_fingerprint(encoder_fingerprint.get());
    encoder->set_width(2);
    encoder->set_state("up");
    encoder->set_in_flight(3);
    if (has_refused_encoder) {
      v1::EncoderStatus* other = response->add_encoders();
      other->set_address("10.0.0.2:1");
      other->set_state("refused");
      other->set_error("refused: another model");
    }
    response->mutable_conditioning_store()->set_memory_hits(4);
    response->mutable_conditioning_store()->set_disk_hits(5);
    response->mutable_conditioning_store()->set_misses(6);
    response->mutable_conditioning_store()->set_damaged(7);
    response->mutable_conditioning_store()->set_disk_failures(8);
    response->mutable_conditioning_store()->set_last_failure("disk full");
    response->mutable_conditioning_store()->set_memory_bytes(1'500'000);
    response->mutable_conditioning_store()->set_disk_bytes(2'600'000);
    response->mutable_conditioning_store()->set_entries(9);
    response->mutable_state_folder()->set_free_bytes(7'000'000'000);
    response->mutable_state_folder()->set_problem(state_folder_problem.get());
    std::lock_guard lock(mutex_);
    if (pause_) *response->mutable_pause() = *pause_;
    if (const auto twist = twist_description.get()) twist(*response);
    return grpc::Status::OK;
  }

  grpc::Status FindInputs(grpc::ServerContext*, const v1::FindInputsRequest* request,
                          v1::FindInputsResponse* response) override {
    for (const std::string& hash : request->sha256()) {
      std::lock_guard lock(mutex_);
      if (!inputs_.contains(hash)) response->add_missing(hash);
    }
    return grpc::Status::OK;
  }

  grpc::Status UploadInput(grpc::ServerContext*, grpc::ServerReader<v1::UploadInputRequest>* reader,
                           v1::UploadInputResponse*) override {
    v1::UploadInputRequest request;
    std::string hash, bytes;
    while (reader->Read(&request)) {
      if (request.has_head()) hash = request.head().sha256();
      bytes += request.data();
    }
    std::lock_guard lock(mutex_);
    ++input_uploads;
    inputs_[hash] = bytes;
    return grpc::Status::OK;
  }

  // What was uploaded, by the hash that its head said.
  std::map<std::string, std::string> Inputs() {
    std::lock_guard lock(mutex_);
    return inputs_;
  }
  std::atomic<int> input_uploads = 0;

  grpc::Status Submit(grpc::ServerContext* context, grpc::ServerReader<v1::SubmitRequest>* reader,
                      v1::SubmitResponse* response) override {
    std::this_thread::sleep_for(delay.load());
    v1::SubmitRequest request;
    if (!reader->Read(&request) || !request.has_spec()) return {grpc::StatusCode::INVALID_ARGUMENT, "spec first"};
    const v1::JobSpec spec = request.spec();
    if (spec.steps() == 13) return {grpc::StatusCode::INVALID_ARGUMENT, "steps must not be 13"};
    if (spec.seed() == 13) return {grpc::StatusCode::INVALID_ARGUMENT, "no seed 13"};
    ConditioningReceiver receiver, negative_receiver;
    bool uploaded = false;
    while (reader->Read(&request)) {
      uploaded = true;
      const absl::Status added = request.has_negative_conditioning()
                                     ? negative_receiver.Add(request.negative_conditioning())
                                     : receiver.Add(request.conditioning());
      if (!added.ok()) return {grpc::StatusCode::DATA_LOSS, std::string(added.message())};
    }
    std::lock_guard lock(mutex_);
    const auto waits = [](const auto& entry) { return entry.second.state() == v1::JOB_STATE_QUEUED; };
    if (std::count_if(jobs_.begin(), jobs_.end(), waits) >= queue_limit) {
      ++full_refusals_;
      context->AddTrailingMetadata("retry-after-ms", "20");
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full; try again in 0 s"};
    }
    const std::string id = "job-" + std::to_string(specs_.size() + 1);
    specs_.push_back(spec);
    v1::Job& job = jobs_[id];
    job.set_id(id);
    *job.mutable_spec() = spec;
    job.set_state(v1::JOB_STATE_QUEUED);
    job.set_sequence(1);
    if (uploaded) hashes_[id] = ConditioningHash(*receiver.Finish());
    if (negative_receiver.complete()) negative_bytes_ = negative_receiver.Finish()->bytes;
    response->set_id(id);
    if (const auto twist = twist_submission.get()) twist(*response);
    return grpc::Status::OK;
  }

  grpc::Status Delete(grpc::ServerContext*, const v1::DeleteRequest* request, v1::DeleteResponse*) override {
    std::this_thread::sleep_for(delay.load());
    std::lock_guard lock(mutex_);
    Note("remove " + request->id(), request->client(), request->force());
    if (jobs_.erase(request->id()) > 0) return grpc::Status::OK;
    return {grpc::StatusCode::NOT_FOUND, "no job " + request->id()};
  }

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::WatchResponse>* writer) override {
    v1::Job job;
    bool dropped = false;
    {
      std::lock_guard lock(mutex_);
      const auto now = std::chrono::steady_clock::now();
      if (!first_watch_) first_watch_ = now;
      if (away || now - *first_watch_ < delay.load()) return {grpc::StatusCode::UNAVAILABLE, "away"};
      dropped = dropped_watches > 0 && dropped_watches-- > 0;
      const auto found = jobs_.find(request->id());
      if (found == jobs_.end()) return {grpc::StatusCode::NOT_FOUND, "no job " + request->id()};
      job = found->second;
      watched_ = true;
      after_sequences_.push_back(request->after_sequence());
    }
    while (mute && !context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    context->AddInitialMetadata("watching", "1");
    writer->SendInitialMetadata();
    if (job.sequence() != request->after_sequence()) Report(job, writer);
    if (dropped) {
      std::this_thread::sleep_for(drop_after.load());
      return {grpc::StatusCode::UNAVAILABLE, "connection reset"};
    }
    if (job.state() == v1::JOB_STATE_DONE) {  // it was watched before
      if (request->picture()) SendPicture(Png(job), writer);
      return grpc::Status::OK;
    }
    for (int step = 1; step <= job.spec().steps() && !hang; ++step) {
      job.set_state(v1::JOB_STATE_RENDERING);
      job.set_step(step);
      job.mutable_timings()->add_step_ms(5);
      job.set_sequence(1 + step);
      if (request->previews()) {
        v1::WatchResponse preview;
        preview.mutable_preview()->set_step(step);
        preview.mutable_preview()->set_jpeg("\xFF\xD8\xFFjpeg");
        writer->Write(preview);
      }
      Report(job, writer);
    }
    while (hang && !context->IsCancelled() && state(job.id()) != "JOB_STATE_CANCELLED") {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    const std::string reason = fail_with.get(), only = fails_alone.get();
    const bool fails = !reason.empty() && (only.empty() || only == job.id());
    job.set_state(hang ? v1::JOB_STATE_CANCELLED : fails ? v1::JOB_STATE_FAILED : v1::JOB_STATE_DONE);
    if (fails) job.set_error(reason);
    job.set_sequence(job.sequence() + 1);
    job.mutable_timings()->set_total_ms(1234);
    if (tokens > 0) {
      job.mutable_prompt_fit()->set_token_count(tokens);
      job.mutable_prompt_fit()->set_rows(rows);
    }
    {
      std::lock_guard lock(mutex_);
      jobs_[job.id()] = job;
    }
    Report(job, writer);
    if (job.state() == v1::JOB_STATE_DONE && request->picture()) SendPicture(Png(job), writer);
    return grpc::Status::OK;
  }

  grpc::Status Cancel(grpc::ServerContext*, const v1::CancelRequest* request, v1::CancelResponse* response) override {
    std::this_thread::sleep_for(delay.load());
    std::lock_guard lock(mutex_);
    Note("cancel " + request->id(), request->client(), request->force());
    const auto found = jobs_.find(request->id());
    if (found == jobs_.end()) return {grpc::StatusCode::NOT_FOUND, "no job " + request->id()};
    if (found->second.state() != v1::JOB_STATE_DONE) found->second.set_state(v1::JOB_STATE_CANCELLED);
    *response->mutable_job() = found->second;
    if (const auto twist = twist_job.get()) twist(*response->mutable_job());
    return grpc::Status::OK;
  }

  grpc::Status Pause(grpc::ServerContext*, const v1::PauseRequest* request, v1::PauseResponse* response) override {
    std::this_thread::sleep_for(delay.load());
    std::lock_guard lock(mutex_);
    Note("pause", request->client(), false);
    response->set_was_paused(pause_.has_value());
    if (!pause_) {
      pause_.emplace();
      pause_->set_by(request->client());
    }
    *response->mutable_pause() = *pause_;
    return grpc::Status::OK;
  }

  grpc::Status Resume(grpc::ServerContext*, const v1::ResumeRequest* request, v1::ResumeResponse* response) override {
    std::this_thread::sleep_for(delay.load());
    std::lock_guard lock(mutex_);
    Note("resume", request->client(), request->force());
    if (pause_ && pause_->by() != request->client() && !request->force()) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "paused by client " + pause_->by()};
    }
    if (pause_) *response->mutable_pause() = *std::exchange(pause_, std::nullopt);
    return grpc::Status::OK;
  }

  // One job a page: like the renderer, which ends a page early when its jobs are large.
  grpc::Status List(grpc::ServerContext*, const v1::ListRequest* request, v1::ListResponse* response) override {
    std::this_thread::sleep_for(delay.load());
    if (const auto answer = list.get()) {
      answer(*request, *response);
      return grpc::Status::OK;
    }
    std::lock_guard lock(mutex_);
    for (auto job = jobs_.rbegin(); job != jobs_.rend(); ++job) {
      if (!request->before_id().empty() && job->first >= request->before_id()) continue;
      const auto& states = request->states();
      if (!states.empty() && std::find(states.begin(), states.end(), job->second.state()) == states.end()) continue;
      if (!request->client().empty() && request->client() != job->second.spec().client()) continue;
      if (request->accepted_from_unix_ms() > job->second.accepted_unix_ms()) continue;
      if (job->second.spec().prompt().user().find(request->text()) == std::string::npos) continue;
      if (!knows_no_id_parts && !HasPart(job->first, request->id_part())) continue;
      ++listed;
      *response->add_jobs() = job->second;
      if (const auto twist = twist_job.get()) twist(*response->mutable_jobs(0));
      break;
    }
    return grpc::Status::OK;
  }

 private:
  static bool HasPart(std::string id, const std::string& part) {
    std::transform(id.begin(), id.end(), id.begin(), [](unsigned char c) { return std::toupper(c); });
    return id.starts_with(part) || id.ends_with(part);
  }

  void Note(const std::string& what, const std::string& client, bool force) {
    asked_.push_back(what + " by " + client + (force ? ", with force" : ""));
  }

  void Report(const v1::Job& job, grpc::ServerWriter<v1::WatchResponse>* writer) const {
    v1::WatchResponse response;
    *response.mutable_job() = job;
    if (const auto twist = twist_job.get()) twist(*response.mutable_job());
    writer->Write(response);
  }

  std::string Png(const v1::Job& job) {
    const v1::JobSpec& spec = job.spec();
    Receipt receipt;
    receipt.program_version = "9.9";
    if (spec.has_prompt()) {
      receipt.prompt.emplace();
      receipt.prompt->user = spec.prompt().user();
      receipt.prompt->system = spec.prompt().system();
      receipt.prompt->conversation_json = spec.prompt().conversation_json();
    }
    receipt.width = spec.width();
    receipt.height = spec.height();
    receipt.seed = spec.seed();
    receipt.steps = spec.steps();
    receipt.shift = spec.has_shift() ? spec.shift() : 3;
    receipt.cfg_truncation = spec.cfg_truncation();
    receipt.layer = spec.layer();
    receipt.long_prompt_mode = LongPromptMode::kInterpolate;
    receipt.dtype = "float32";
    receipt.transformer_fingerprint = std::string(64, transformer_digit);
    receipt.vae_fingerprint = std::string(64, 'b');
    receipt.text_encoder_fingerprint = encoder_fingerprint.get();
    receipt.tokenizer_fingerprint = std::string(64, 'd');
    const std::string uploaded = uploaded_hash(job.id());
    receipt.conditioning_hash = uploaded.empty() ? std::string(64, 'e') : uploaded;
    if (const auto twist = twist_receipt.get()) twist(receipt);
    if (std::string bytes = instead_of_png.get(); !bytes.empty()) return bytes;
    Picture picture{spec.width(), spec.height(), {}};
    picture.rgb.assign(size_t{3} * spec.width() * spec.height(), 128);
    return EncodePng(picture, ReceiptPngText(receipt));
  }

  void SendPicture(const std::string& png, grpc::ServerWriter<v1::WatchResponse>* writer) const {
    constexpr size_t kPiece = 100;
    for (size_t offset = 0; offset < png.size(); offset += kPiece) {
      v1::WatchResponse response;
      v1::PictureChunk& piece = *response.mutable_picture();
      piece.set_offset(static_cast<int64_t>(offset));
      piece.set_data(png.substr(offset, kPiece));
      piece.set_byte_count(static_cast<int64_t>(png.size()));
      piece.set_sha256(damage_picture ? std::string(64, '0') : Sha256Hex(png));
      writer->Write(response);
    }
  }

  std::map<std::string, std::string> inputs_;
  std::mutex mutex_;
  std::map<std::string, v1::Job> jobs_;
  std::vector<std::string> asked_;
  std::optional<v1::QueuePause> pause_;
  std::map<std::string, std::string> hashes_;
  std::vector<v1::JobSpec> specs_;
  std::vector<uint8_t> negative_bytes_;
  std::vector<int64_t> after_sequences_;
  bool watched_ = false;
  int full_refusals_ = 0;
  std::optional<std::chrono::steady_clock::time_point> first_watch_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace diptych
