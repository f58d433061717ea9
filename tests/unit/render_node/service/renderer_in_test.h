// A whole render service on loopback, with a painter and an encoder that do as the test says.
#pragma once

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/net/server_runner.h"
#include "diptych/v1/render.grpc.pb.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/job_runner.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/jobs/scheduler.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "render_node/jobs/state_folder.h"
#include "render_node/service/render_service.h"
#include "tests/unit/render_node/service/render_samples.h"

namespace diptych {

// Paints one grey, taken from the conditioning; may be held before any step. Thread-safe.
class GreyRenderer final : public PictureRenderer {
 public:
  const RendererFacts& facts() const override { return facts_; }
  Picture Render(const RenderRequest& request) override;

  // From now on pictures wait before step `step` (counted from 0) until LetGo.
  void HoldBefore(int32_t step);
  void LetGo();
  void FailNext(Error error);

 private:
  void Wait(int32_t step, const CancelToken& cancel);

  const RendererFacts facts_ = SampleFacts();
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<int32_t> held_;
  std::optional<Error> failure_;
};

// Gives the same block for every prompt. Thread-safe.
class FakeSource final : public ConditioningSource {
 public:
  FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                    const std::function<void(const std::string& reason)>& on_waiting) override;

  std::vector<FetchRequest> requests() const;

 private:
  mutable std::mutex mutex_;
  std::vector<FetchRequest> requests_;
};

// What a client received of one job.
struct Watched {
  std::vector<v1::Job> jobs;
  std::string png;
  int64_t byte_count = 0;
  std::string sha256;
  grpc::Status status;

  const v1::Job& last() const { return jobs.back(); }
};

class RendererInTest : public testing::Test {
 protected:
  explicit RendererInTest(const RenderRoom& room = {});
  ~RendererInTest() override;

  void Open();         // the model is loaded
  void StopServing();  // as the daemon does it: queue, server, worker

  grpc::Status Submit(const std::vector<v1::SubmitRequest>& messages, v1::SubmitResponse* response);
  // The id of a job that must be accepted.
  std::string Submit(const v1::JobSpec& spec, const std::vector<v1::SubmitRequest>& more = {});
  Watched Watch(const std::string& id, bool picture = false);
  v1::Job Get(const std::string& id);
  v1::Job Cancel(const std::string& id);
  std::vector<std::string> List(const v1::ListRequest& request);
  // Blocks until the job has this state and as many finished steps; fails the test after 20 s.
  void Await(const std::string& id, v1::JobState state, int32_t step = 0);

  const std::filesystem::path root_;
  GreyRenderer renderer_;
  FakeSource source_;
  SystemClock clock_;
  std::atomic<bool> disk_is_full_ = false;
  std::mutex refusals_mutex_;
  std::vector<absl::StatusCode> refusals_;  // what RenderServiceParts::refused was told
  std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<SqliteJobStore> store_;
  std::unique_ptr<ConditioningFiles> uploads_;
  std::unique_ptr<PictureStore> pictures_;
  std::unique_ptr<InputStore> inputs_;
  std::unique_ptr<CheckpointStore> checkpoints_;
  FairScheduler scheduler_;
  std::unique_ptr<JobQueue> queue_;
  std::unique_ptr<JobRunner> runner_;
  std::unique_ptr<RenderService> service_;
  std::unique_ptr<ServerRunner> server_;
  std::unique_ptr<v1::Renderer::Stub> stub_;
};

}  // namespace diptych
