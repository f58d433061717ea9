#include "tests/unit/render_node/service/renderer_in_test.h"

#include <stdlib.h>

#include <chrono>
#include <sstream>
#include <thread>
#include <utility>

#include "common/net/channel.h"
#include "render_node/service/receipt_finisher.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience(20);

std::filesystem::path NewFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "render_service_test.XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  return name;
}

void SetDeadline(grpc::ClientContext* context) { context->set_deadline(std::chrono::system_clock::now() + kPatience); }

}  // namespace

Picture GreyRenderer::Render(const RenderRequest& request) {
  const auto& [positive, negative, parameters, source, mask, hooks, cancel] = request;
  hooks.on_progress({RenderStage::kRefined, 0, parameters.steps, 1, 1});
  for (int32_t step = 0; step < parameters.steps; ++step) {
    Wait(step, cancel);
    hooks.on_progress({RenderStage::kStep, step + 1, parameters.steps, 0, 1});
  }
  hooks.on_progress({RenderStage::kDecoded, parameters.steps, parameters.steps, 0, 1});
  const std::lock_guard lock(mutex_);
  if (failure_) {
    const Error failure = *std::exchange(failure_, std::nullopt);
    throw failure;
  }
  const uint8_t grey = positive.bytes.front() + (negative == nullptr ? 0 : 100);
  return {parameters.width, parameters.height, std::vector<uint8_t>(3 * parameters.width * parameters.height, grey)};
}

void GreyRenderer::Wait(int32_t step, const CancelToken& cancel) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, cancel.stop_token(), [&] { return !held_ || step < *held_; });
  cancel.ThrowIfCancelled();
}

void GreyRenderer::HoldBefore(int32_t step) {
  const std::lock_guard lock(mutex_);
  held_ = step;
}

void GreyRenderer::LetGo() {
  const std::lock_guard lock(mutex_);
  held_.reset();
  changed_.notify_all();
}

void GreyRenderer::FailNext(Error error) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(error);
}

FetchResult FakeSource::Fetch(const FetchRequest& request, const CancelToken&,
                              const std::function<void(const std::string& reason)>&) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
  return {SampleConditioning(4, 9), 2, 1};
}

std::vector<FetchRequest> FakeSource::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

RendererInTest::RendererInTest(const RenderRoom& room) : root_(NewFolder()) {
  folder_ = std::make_unique<StateFolder>(root_);
  store_ = std::make_unique<SqliteJobStore>(*folder_, SystemRandom());
  pictures_ = std::make_unique<PictureStore>(folder_->pictures());
  inputs_ = std::make_unique<InputStore>(folder_->inputs());
  checkpoints_ = std::make_unique<CheckpointStore>(folder_->checkpoints());
  uploads_ = std::make_unique<ConditioningFiles>(folder_->conditioning());
  queue_ = std::make_unique<JobQueue>(JobQueueParts{.store = *store_,
                                                    .uploads = *uploads_,
                                                    .owner = {"node", "life"},
                                                    .scheduler = scheduler_,
                                                    .clock = clock_,
                                                    .limits = {.client_waiting = 500}});
  service_ = std::make_unique<RenderService>(*MakeLogger("test", LogLevel::kError), room);
  absl::StatusOr<std::unique_ptr<ServerRunner>> server =
      ServerRunner::Start({"127.0.0.1", 0}, {{v1::Renderer::service_full_name(), service_.get()}});
  if (!server.ok()) throw std::runtime_error(server.status().ToString());
  server_ = *std::move(server);
  stub_ = v1::Renderer::NewStub(MakeChannel(server_->address()));
}

RendererInTest::~RendererInTest() {
  StopServing();
  std::filesystem::remove_all(root_);
}

void RendererInTest::Open() {
  runner_ = std::make_unique<JobRunner>(JobRunnerParts{.queue = *queue_,
                                                       .store = *store_,
                                                       .pictures = *pictures_,
                                                       .checkpoints = *checkpoints_,
                                                       .inputs = *inputs_,
                                                       .source = source_,
                                                       .renderer = renderer_,
                                                       .clock = clock_,
                                                       .finish = FinishWithReceipt});
  RenderServiceParts parts;
  parts.queue = queue_.get();
  parts.pictures = pictures_.get();
  parts.inputs = inputs_.get();
  parts.facts = renderer_.facts();
  parts.limits = {.pixels = 1024 * 1024, .steps = 100, .prompt_tokens = 900};
  parts.encoders = [] {
    std::vector<v1::EncoderStatus> encoders(1);
    encoders[0].set_address("127.0.0.1:9");
    encoders[0].set_error("nobody there");
    return encoders;
  };
  parts.check_room = [this] {
    if (disk_is_full_) throw Error(ErrorCode::kResourceExhausted, "the disk is nearly full");
  };
  parts.refused = [this](const absl::Status& why) {
    const std::lock_guard lock(refusals_mutex_);
    refusals_.push_back(why.code());
  };
  parts.conditioning_store = [] {
    v1::ConditioningStoreStatus store;
    store.set_misses(3);
    return store;
  };
  service_->Open(std::move(parts));
}

void RendererInTest::StopServing() {
  queue_->Stop();
  server_->Shutdown(milliseconds(500));
  if (runner_) runner_->Stop();
}

grpc::Status RendererInTest::Submit(const std::vector<v1::SubmitRequest>& messages, v1::SubmitResponse* response) {
  grpc::ClientContext context;
  SetDeadline(&context);
  const auto writer = stub_->Submit(&context, response);
  for (const v1::SubmitRequest& message : messages) {
    if (!writer->Write(message)) break;  // refused: Finish says why
  }
  writer->WritesDone();
  return writer->Finish();
}

std::string RendererInTest::Submit(const v1::JobSpec& spec, const std::vector<v1::SubmitRequest>& more) {
  std::vector<v1::SubmitRequest> messages = {SpecMessage(spec)};
  messages.insert(messages.end(), more.begin(), more.end());
  v1::SubmitResponse response;
  const grpc::Status status = Submit(messages, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.id();
}

Watched RendererInTest::Watch(const std::string& id, bool picture) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::WatchRequest request;
  request.set_id(id);
  request.set_picture(picture);
  const auto reader = stub_->Watch(&context, request);
  Watched watched;
  for (v1::WatchResponse response; reader->Read(&response);) {
    if (response.has_job()) {
      EXPECT_TRUE(watched.png.empty()) << "a job event after the picture";
      watched.jobs.push_back(response.job());
      continue;
    }
    const v1::PictureChunk& chunk = response.picture();
    EXPECT_EQ(chunk.offset(), static_cast<int64_t>(watched.png.size()));
    watched.png += chunk.data();
    watched.byte_count = chunk.byte_count();
    watched.sha256 = chunk.sha256();
  }
  watched.status = reader->Finish();
  return watched;
}

v1::Job RendererInTest::Get(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::GetRequest request;
  request.set_id(id);
  v1::GetResponse response;
  const grpc::Status status = stub_->Get(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.job();
}

v1::Job RendererInTest::Cancel(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::CancelRequest request;
  request.set_id(id);
  v1::CancelResponse response;
  const grpc::Status status = stub_->Cancel(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.job();
}

std::vector<std::string> RendererInTest::List(const v1::ListRequest& request) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::ListResponse response;
  const grpc::Status status = stub_->List(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<std::string> ids;
  for (const v1::Job& job : response.jobs()) ids.push_back(job.id());
  return ids;
}

void RendererInTest::Await(const std::string& id, v1::JobState state, int32_t step) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  v1::Job job;
  while (std::chrono::steady_clock::now() < end) {
    job = Get(id);
    if (job.state() == state && job.step() >= step) return;
    std::this_thread::sleep_for(milliseconds(5));
  }
  FAIL() << "not there in time: " << job.ShortDebugString();
}

}  // namespace diptych
