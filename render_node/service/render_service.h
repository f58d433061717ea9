// The render daemon's side of proto/diptych/v1/render.proto, whose comments are the contract: judges requests, hands
// jobs to the queue and tells watchers how they fare.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/concurrency/alarm.h"
#include "common/log/log.h"
#include "common/net/byte_room.h"
#include "common/net/call_pool.h"
#include "common/net/held_call.h"
#include "diptych/v1/render.grpc.pb.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/jobs/input_store.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/operator_limits.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/pipeline/picture_renderer.h"
#include "render_node/service/call_shares.h"
#include "render_node/service/callers.h"
#include "render_node/service/submission_reader.h"
#include "render_node/service/unary_call.h"

namespace diptych {

// What the calls work on once the model is loaded.
struct RenderServiceParts {
  JobQueue* queue = nullptr;               // outlives the service's last call; moves no more after the service's end
  const PictureStore* pictures = nullptr;  // likewise
  InputStore* inputs = nullptr;            // likewise
  const ConditioningSource* source = nullptr;  // likewise; null: nothing is known to be stored
  Callers callers = {};
  RendererFacts facts;  // with the default shift that jobs get
  int64_t prompt_byte_limit = QueueLimits{}.prompt_bytes;
  OperatorLimits limits;
  std::function<std::vector<v1::EncoderStatus>()>
      encoders;  // may take as long as an encoder needs to answer; thread-safe
  std::function<std::vector<v1::EncoderStatus>()>
      known_encoders;  // at once, as they last answered; empty: there is none
  std::function<v1::ConditioningStoreStatus()> conditioning_store;  // empty: there is none; thread-safe
  std::function<v1::StateFolderStatus()> state_folder;              // empty: there is none; thread-safe
  std::function<void()>
      check_room;            // throws when no new job may be taken for lack of disk; empty: there is always room
  bool log_prompts = false;  // in full; otherwise only their length
  std::function<void(const absl::Status&)>
      refused;  // why Submit took no job; may be empty; thread-safe, must not throw
};

// How many and how much peers may hold, and for how long.
struct RenderRoom {
  int64_t upload_bytes = 160 << 20;  // of jobs that are not accepted yet, all together; a Submit counts twice its size
  int64_t unread_bytes = 48 << 20;   // written to watchers, and not taken by them; each message counts twice
  int64_t answer_bytes = 48 << 20;   // likewise, of calls with one answer
  HeldLimits submits = {};
  HeldLimits input_uploads = {.in_all = 64, .per_host = 16};
  HeldLimits watchers = {};
  HeldLimits answers = {.in_all = 8000, .per_host = 2000};  // calls with one answer
  std::chrono::milliseconds submit_message_within{30'000};
  std::chrono::milliseconds submit_within{600'000};
  std::chrono::milliseconds taken_within{30'000};
};

// Thread-safe. No call has a thread of its own: what is to do for it is done on those of a pool, in turns between the
// peers. No exception leaves the methods. UNAVAILABLE from all until Open, and once the queue is stopping.
class RenderService final : public v1::Renderer::CallbackService {
 public:
  explicit RenderService(Logger log, const RenderRoom& room = {}) : log_(std::move(log)), room_(room) {}

  // From now on calls are answered. Once. The queue calls back when it has moved: the service must be there until nothing
  // works on it any more.
  void Open(RenderServiceParts parts);

  grpc::ServerReadReactor<v1::SubmitRequest>* Submit(grpc::CallbackServerContext* context,
                                                     v1::SubmitResponse* response) override;
  grpc::ServerReadReactor<v1::UploadInputRequest>* UploadInput(grpc::CallbackServerContext* context,
                                                               v1::UploadInputResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                     const v1::WatchRequest* request) override;
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context, const v1::DescribeRendererRequest* request,
                                     v1::DescribeRendererResponse* response) override {
    return Run(&RenderService::Describe, context, request, response);
  }
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context, const v1::CancelRequest* request,
                                   v1::CancelResponse* response) override {
    return Run(&RenderService::Cancel, context, request, response);
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context, const v1::DeleteRequest* request,
                                   v1::DeleteResponse* response) override {
    return Run(&RenderService::Delete, context, request, response);
  }
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetRequest* request,
                                v1::GetResponse* response) override {
    return Run(&RenderService::Get, context, request, response);
  }
  grpc::ServerUnaryReactor* Pause(grpc::CallbackServerContext* context, const v1::PauseRequest* request,
                                  v1::PauseResponse* response) override {
    return Run(&RenderService::Pause, context, request, response);
  }
  grpc::ServerUnaryReactor* Resume(grpc::CallbackServerContext* context, const v1::ResumeRequest* request,
                                   v1::ResumeResponse* response) override {
    return Run(&RenderService::Resume, context, request, response);
  }
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListRequest* request,
                                 v1::ListResponse* response) override {
    return Run(&RenderService::List, context, request, response);
  }

  grpc::ServerUnaryReactor* FindInputs(grpc::CallbackServerContext* context, const v1::FindInputsRequest* request,
                                       v1::FindInputsResponse* response) override {
    return Run(&RenderService::FindInputs, context, request, response);
  }

  // What these answer, on the caller's thread.
  grpc::Status Describe(grpc::ServerContextBase* context, const v1::DescribeRendererRequest* request,
                        v1::DescribeRendererResponse* response);
  grpc::Status Cancel(grpc::ServerContextBase* context, const v1::CancelRequest* request, v1::CancelResponse* response);
  grpc::Status Delete(grpc::ServerContextBase* context, const v1::DeleteRequest* request, v1::DeleteResponse* response);
  grpc::Status Get(grpc::ServerContextBase* context, const v1::GetRequest* request, v1::GetResponse* response);
  grpc::Status Pause(grpc::ServerContextBase* context, const v1::PauseRequest* request, v1::PauseResponse* response);
  grpc::Status Resume(grpc::ServerContextBase* context, const v1::ResumeRequest* request, v1::ResumeResponse* response);
  grpc::Status List(grpc::ServerContextBase* context, const v1::ListRequest* request, v1::ListResponse* response);
  grpc::Status FindInputs(grpc::ServerContextBase* context, const v1::FindInputsRequest* request,
                          v1::FindInputsResponse* response);

 private:
  // Runs `work` on the parts, if calls are answered now.
  grpc::Status Answer(const char* method, const std::function<absl::Status(const RenderServiceParts&)>& work) const;
  // Why no call is answered now, if so.
  absl::Status Readiness() const;
  // As the client is told; what is INTERNAL is logged.
  grpc::Status Told(const char* method, const absl::Status& status) const;
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Run(grpc::Status (RenderService::*method)(grpc::ServerContextBase*, const Request*,
                                                                      Response*),
                                grpc::CallbackServerContext* context, const Request* request, Response* response) {
    const auto call = std::make_shared<UnaryCall<Response>>(
        AnswerRoom{.answers = answers_, .unread = answered_, .taken_within = room_.taken_within}, context, response,
        [this, method, context, request, response] { return (this->*method)(context, request, response); });
    if (!answers_.Enter(call)) return RefuseUnary();
    call->Wake();
    return call.get();
  }
  static grpc::ServerUnaryReactor* RefuseUnary();
  // What Submit does in the end. May throw.
  absl::Status Accept(const RenderServiceParts& parts, grpc::ServerContextBase* context, SubmissionReader& submission,
                      v1::SubmitResponse* response) const;
  void LogAccepted(const RenderServiceParts& parts, const SubmittedJob& job, const JobSpec& spec, bool uploaded) const;

  const Logger log_;
  CallShares lists_;
  const RenderRoom room_;
  std::optional<RenderServiceParts> parts_;  // set before open_, never changed after
  std::atomic<bool> open_ = false;
  std::mutex asking_encoders_;  // one call at a time waits for them
  ByteRoom uploads_{room_.upload_bytes};
  ByteRoom unread_{room_.unread_bytes};
  ByteRoom answered_{room_.answer_bytes};
  CallPool calls_;
  HeldCalls submits_{calls_, room_.submits};
  HeldCalls input_uploads_{calls_, room_.input_uploads};
  HeldCalls watchers_{calls_, room_.watchers};
  HeldCalls answers_{calls_, room_.answers};
  std::atomic<uint64_t> moves_ = 0;  // of the queue, in lots of kPlaceInterval
  Alarm places_{[this] {             // last: it uses the others
    ++moves_;
    watchers_.WakeAll();
  }};
};

}  // namespace diptych
