// The render daemon's side of proto/diptych/v1/render.proto, whose comments are the contract: judges requests, hands
// jobs to the queue and tells watchers how they fare.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/log/log.h"
#include "diptych/v1/render.grpc.pb.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/operator_limits.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/pipeline/picture_renderer.h"
#include "render_node/service/call_shares.h"

namespace diptych {

// What the calls work on once the model is loaded.
struct RenderServiceParts {
  JobQueue* queue = nullptr;                   // outlives the service's last call
  const PictureStore* pictures = nullptr;      // likewise
  const ConditioningSource* source = nullptr;  // likewise; null: nothing is known to be stored
  RendererFacts facts;                         // with the default shift that jobs get
  int64_t prompt_byte_limit = QueueLimits{}.prompt_bytes;
  OperatorLimits limits;
  std::function<std::vector<v1::EncoderStatus>()>
      encoders;  // may take as long as an encoder needs to answer; thread-safe
  std::function<v1::ConditioningStoreStatus()> conditioning_store;  // empty: there is none; thread-safe
  std::function<v1::StateFolderStatus()> state_folder;              // empty: there is none; thread-safe
  std::function<void()>
      check_room;            // throws when no new job may be taken for lack of disk; empty: there is always room
  bool log_prompts = false;  // in full; otherwise only their length
  std::function<void(const absl::Status&)>
      refused;  // why Submit took no job; may be empty; thread-safe, must not throw
};

// Thread-safe; gRPC calls the methods on threads of its own. No exception leaves them. UNAVAILABLE from all until Open,
// and once the queue is stopping.
class RenderService final : public v1::Renderer::Service {
 public:
  explicit RenderService(Logger log) : log_(std::move(log)) {}

  // From now on calls are answered. Once.
  void Open(RenderServiceParts parts);

  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeRendererRequest* request,
                        v1::DescribeRendererResponse* response) override;
  grpc::Status Submit(grpc::ServerContext* context, grpc::ServerReader<v1::SubmitRequest>* reader,
                      v1::SubmitResponse* response) override;
  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::WatchResponse>* writer) override;
  grpc::Status Cancel(grpc::ServerContext* context, const v1::CancelRequest* request,
                      v1::CancelResponse* response) override;
  grpc::Status Delete(grpc::ServerContext* context, const v1::DeleteRequest* request,
                      v1::DeleteResponse* response) override;
  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request, v1::GetResponse* response) override;
  grpc::Status Pause(grpc::ServerContext* context, const v1::PauseRequest* request,
                     v1::PauseResponse* response) override;
  grpc::Status Resume(grpc::ServerContext* context, const v1::ResumeRequest* request,
                      v1::ResumeResponse* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListRequest* request, v1::ListResponse* response) override;

 private:
  // Runs `work` on the parts, if calls are answered now.
  grpc::Status Answer(const char* method, const std::function<absl::Status(const RenderServiceParts&)>& work) const;
  // What Submit does. May throw.
  absl::Status Accept(const RenderServiceParts& parts, grpc::ServerContext* context,
                      grpc::ServerReader<v1::SubmitRequest>* reader, v1::SubmitResponse* response) const;
  void LogAccepted(const RenderServiceParts& parts, const SubmittedJob& job, const JobSpec& spec, bool uploaded) const;

  const Logger log_;
  CallShares lists_;
  std::optional<RenderServiceParts> parts_;  // set before open_, never changed after
  std::atomic<bool> open_ = false;
};

}  // namespace diptych
