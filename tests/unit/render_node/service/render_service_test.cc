#include "render_node/service/render_service.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "common/digest/sha256.h"
#include "common/image/png.h"
#include "common/receipt/receipt.h"
#include "common/version/version.h"
#include "tests/unit/render_node/service/renderer_in_test.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

// The model is loaded and the worker runs.
class RenderServiceTest : public RendererInTest {
 protected:
  RenderServiceTest() { Open(); }
};

TEST_F(RenderServiceTest, SubmittedJobIsPaintedAndItsPictureComesWhole) {
  const std::string id = Submit(SampleSpec("a tree"));
  const Watched watched = Watch(id, /*picture=*/true);
  ASSERT_TRUE(watched.status.ok()) << watched.status.error_message();
  ASSERT_FALSE(watched.jobs.empty());
  EXPECT_EQ(watched.last().state(), v1::JOB_STATE_DONE);
  EXPECT_EQ(watched.last().step(), 3);
  EXPECT_EQ(watched.last().timings().step_ms_size(), 3);
  EXPECT_EQ(watched.last().spec().shift(), renderer_.facts().default_shift);
  EXPECT_EQ(watched.byte_count, static_cast<int64_t>(watched.png.size()));
  EXPECT_EQ(watched.sha256, Sha256Hex(watched.png));
  const PngFile file = DecodePng(watched.png);
  EXPECT_EQ(file.picture.rgb, std::vector<uint8_t>(32 * 16 * 3, 9));
  const Receipt receipt = FindReceipt(file.text);
  EXPECT_EQ(receipt.prompt->user, "a tree");
  EXPECT_EQ(receipt.shift, renderer_.facts().default_shift);
}

TEST_F(RenderServiceTest, PictureIsSentOnlyWhenAskedForAndOnlyOnceItIsThere) {
  const std::string done = Submit(SampleSpec());
  EXPECT_EQ(Watch(done).png, "");
  EXPECT_FALSE(Watch(done, true).png.empty());
  renderer_.FailNext(Error(ErrorCode::kResourceExhausted, "out of memory"));
  const Watched failed = Watch(Submit(SampleSpec()), true);
  EXPECT_TRUE(failed.status.ok());
  EXPECT_EQ(failed.png, "");
}

TEST_F(RenderServiceTest, SameJobGivesTheSameBytesWhoeverAsks) {
  v1::JobSpec other = SampleSpec();
  other.set_client("somebody else");
  other.set_priority(5);
  other.set_shift(renderer_.facts().default_shift);
  EXPECT_EQ(Watch(Submit(SampleSpec()), true).png, Watch(Submit(other), true).png);
}

TEST_F(RenderServiceTest, WatchBeginsWithThePresentStateAndFollowsTheSteps) {
  renderer_.HoldBefore(1);
  const std::string id = Submit(SampleSpec());
  Await(id, v1::JOB_STATE_RENDERING, 1);
  std::thread letting_go([&] {
    std::this_thread::sleep_for(milliseconds(100));
    renderer_.LetGo();
  });
  const Watched watched = Watch(id);
  letting_go.join();
  ASSERT_GE(watched.jobs.size(), 2u);
  EXPECT_EQ(watched.jobs.front().state(), v1::JOB_STATE_RENDERING);
  EXPECT_EQ(watched.jobs.front().step(), 1);
  EXPECT_EQ(watched.last().state(), v1::JOB_STATE_DONE);
}

TEST_F(RenderServiceTest, WatcherOfAWaitingJobLearnsWhenItsPlaceChanges) {
  renderer_.HoldBefore(1);
  const std::string first = Submit(SampleSpec());
  Await(first, v1::JOB_STATE_RENDERING, 1);
  std::vector<std::string> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(Submit(SampleSpec()));  // more than are encoded ahead
  std::thread cancelling([&] {
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_TRUE(queue_->Cancel(ids[6]).ok());
    std::this_thread::sleep_for(milliseconds(2500));
    renderer_.LetGo();
  });
  const Watched watched = Watch(ids[7]);
  cancelling.join();
  std::vector<int> ahead;
  for (const v1::Job& job : watched.jobs) {
    if (job.has_place() && (ahead.empty() || ahead.back() != job.place().jobs_ahead())) {
      ahead.push_back(job.place().jobs_ahead());
    }
  }
  ASSERT_GE(ahead.size(), 2u);
  EXPECT_EQ(ahead[0], 8);
  EXPECT_EQ(ahead[1], 7);
  EXPECT_EQ(watched.last().state(), v1::JOB_STATE_DONE);
}

TEST_F(RenderServiceTest, WatcherThatLeavesEndsItsCallAndCancelsNothing) {
  renderer_.HoldBefore(0);
  const std::string id = Submit(SampleSpec());
  Await(id, v1::JOB_STATE_RENDERING);
  {
    grpc::ClientContext context;
    v1::WatchRequest request;
    request.set_id(id);
    const auto reader = stub_->Watch(&context, request);
    v1::WatchResponse first;
    ASSERT_TRUE(reader->Read(&first));
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  const auto begin = std::chrono::steady_clock::now();
  server_->Shutdown(std::chrono::seconds(10));  // waits for handlers under way
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(queue_->Get(id)->state, JobState::kRendering);
}

TEST_F(RenderServiceTest, StoppingEndsWatchersAndReturnsTheRunningJobToTheQueue) {
  renderer_.HoldBefore(0);
  const std::string id = Submit(SampleSpec());
  Await(id, v1::JOB_STATE_RENDERING);
  Watched watched;
  std::thread watcher([&] { watched = Watch(id); });
  std::this_thread::sleep_for(milliseconds(50));
  const auto begin = std::chrono::steady_clock::now();
  StopServing();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
  watcher.join();
  EXPECT_EQ(watched.status.error_code(), grpc::StatusCode::UNAVAILABLE) << watched.status.error_message();
  EXPECT_EQ(store_->Get(id)->state, JobState::kQueued);
}

TEST_F(RenderServiceTest, CancelledWhileQueuedIsNeverPainted) {
  renderer_.HoldBefore(0);
  const std::string first = Submit(SampleSpec());
  Await(first, v1::JOB_STATE_RENDERING);
  const std::vector<std::string> ahead = {Submit(SampleSpec()), Submit(SampleSpec())};  // encoded meanwhile
  for (const std::string& id : ahead) Await(id, v1::JOB_STATE_READY);
  const std::string second = Submit(SampleSpec("never"));
  EXPECT_EQ(Cancel(second).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(Cancel(second).state(), v1::JOB_STATE_CANCELLED) << "cancelling twice changes nothing";
  renderer_.LetGo();
  EXPECT_EQ(Watch(first).last().state(), v1::JOB_STATE_DONE);
  const Watched watched = Watch(second, true);
  EXPECT_TRUE(watched.status.ok());
  EXPECT_EQ(watched.last().state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(watched.last().attempt(), 0);
  for (const FetchRequest& request : source_.requests()) EXPECT_NE(request.prompt.user, "never");
}

TEST_F(RenderServiceTest, CancelledWhileRenderingEndsBetweenTwoSteps) {
  renderer_.HoldBefore(1);
  const std::string id = Submit(SampleSpec());
  Await(id, v1::JOB_STATE_RENDERING, 1);
  Cancel(id);
  EXPECT_EQ(Watch(id).last().state(), v1::JOB_STATE_CANCELLED);
  renderer_.LetGo();
  EXPECT_EQ(Watch(Submit(SampleSpec())).last().state(), v1::JOB_STATE_DONE);
  EXPECT_EQ(Cancel(id).state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(RenderServiceTest, AJobOfAnotherClientIsEndedAndForgottenOnlyWithForce) {
  renderer_.HoldBefore(0);
  v1::JobSpec spec = SampleSpec();
  spec.set_client("bob");
  const std::string first = Submit(spec), second = Submit(spec), third = Submit(spec);
  const auto cancel = [&](const std::string& id, const std::string& client, bool force) {
    grpc::ClientContext context;
    v1::CancelRequest request;
    request.set_id(id);
    request.set_client(client);
    request.set_force(force);
    v1::CancelResponse response;
    return stub_->Cancel(&context, request, &response);
  };
  const grpc::Status refused = cancel(third, "ada", false);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.error_message(),
            "job " + third + " is of client \"bob\", and you are \"ada\"; --force cancels it all the same");
  EXPECT_FALSE(IsTerminal(queue_->Get(third)->state));
  EXPECT_TRUE(cancel(third, "ada", true).ok());
  EXPECT_TRUE(cancel(second, "bob", false).ok());
  EXPECT_TRUE(cancel(first, "", false).ok()) << "an older client, which gives no name";
  EXPECT_EQ(cancel(first, std::string("a\xFF"), false).error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  const auto remove = [&](const std::string& id, const std::string& client, bool force) {
    grpc::ClientContext context;
    v1::DeleteRequest request;
    request.set_id(id);
    request.set_client(client);
    request.set_force(force);
    v1::DeleteResponse response;
    return stub_->Delete(&context, request, &response).error_code();
  };
  EXPECT_EQ(remove(third, "ada", false), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(remove(third, "ada", true), grpc::StatusCode::OK);
  EXPECT_EQ(remove(third, "ada", false), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(remove(second, "bob", false), grpc::StatusCode::OK);
}

TEST_F(RenderServiceTest, APausedQueueSaysSoToEverybodyUntilItIsResumed) {
  const auto pause = [&](const std::string& client) {
    grpc::ClientContext context;
    v1::PauseRequest request;
    request.set_client(client);
    v1::PauseResponse response;
    EXPECT_TRUE(stub_->Pause(&context, request, &response).ok());
    return response;
  };
  EXPECT_FALSE(pause("ada").was_paused());
  EXPECT_TRUE(pause("").was_paused());
  EXPECT_EQ(pause("bob").pause().by(), "ada");
  {
    grpc::ClientContext context;
    v1::DescribeRendererResponse response;
    ASSERT_TRUE(stub_->Describe(&context, {}, &response).ok());
    EXPECT_EQ(response.pause().by(), "ada");
  }
  const std::string id = Submit(SampleSpec());
  EXPECT_EQ(Get(id).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(Get(id).place().pause().by(), "ada");
  {
    grpc::ClientContext context;
    v1::ResumeResponse response;
    ASSERT_TRUE(stub_->Resume(&context, {}, &response).ok());
    EXPECT_EQ(response.pause().by(), "ada");
  }
  EXPECT_EQ(Watch(id).last().state(), v1::JOB_STATE_DONE);
  grpc::ClientContext context;
  v1::ResumeResponse response;
  ASSERT_TRUE(stub_->Resume(&context, {}, &response).ok());
  EXPECT_FALSE(response.has_pause());
}

TEST_F(RenderServiceTest, ThePauseOfAnotherWantsForce) {
  const auto resume = [&](const std::string& client, bool force) {
    grpc::ClientContext context;
    v1::ResumeRequest request;
    request.set_client(client);
    request.set_force(force);
    v1::ResumeResponse response;
    return stub_->Resume(&context, request, &response);
  };
  {
    grpc::ClientContext context;
    v1::PauseRequest request;
    request.set_client("ada");
    v1::PauseResponse response;
    ASSERT_TRUE(stub_->Pause(&context, request, &response).ok());
  }
  const grpc::Status refused = resume("bob", false);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.error_message(),
            "the queue was paused by client \"ada\", and you are \"bob\"; --force resumes it all the same");
  EXPECT_TRUE(resume("bob", true).ok());
  EXPECT_TRUE(resume("bob", false).ok()) << "there is none";
}

TEST_F(RenderServiceTest, CancellingADoneJobLeavesIt) {
  const std::string id = Submit(SampleSpec());
  Watch(id);
  EXPECT_EQ(Cancel(id).state(), v1::JOB_STATE_DONE);
  EXPECT_FALSE(Watch(id, true).png.empty());
}

TEST_F(RenderServiceTest, FailingJobFailsAloneWithItsReason) {
  renderer_.FailNext(Error(ErrorCode::kResourceExhausted, "out of memory at the second step"));
  const Watched failed = Watch(Submit(SampleSpec()));
  ASSERT_TRUE(failed.status.ok());
  EXPECT_EQ(failed.last().state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(failed.last().error(), "out of memory at the second step");
  EXPECT_EQ(failed.last().error_code(), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(Watch(Submit(SampleSpec())).last().state(), v1::JOB_STATE_DONE);
}

TEST_F(RenderServiceTest, SaysHowManyJobsAreAhead) {
  renderer_.HoldBefore(0);
  Await(Submit(SampleSpec()), v1::JOB_STATE_RENDERING);
  v1::SubmitResponse response;
  ASSERT_TRUE(RendererInTest::Submit({SpecMessage(SampleSpec())}, &response).ok());
  EXPECT_EQ(response.jobs_ahead(), 1);
  renderer_.LetGo();
}

TEST_F(RenderServiceTest, UnknownIdsAreNotFound) {
  for (const std::string id : {"", "nonsense", "../../etc/passwd", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}) {
    EXPECT_EQ(Watch(id).status.error_code(), grpc::StatusCode::NOT_FOUND) << id;
    grpc::ClientContext get_context, cancel_context;
    v1::GetRequest get;
    get.set_id(id);
    v1::GetResponse got;
    EXPECT_EQ(stub_->Get(&get_context, get, &got).error_code(), grpc::StatusCode::NOT_FOUND) << id;
    v1::CancelRequest cancel;
    cancel.set_id(id);
    v1::CancelResponse cancelled;
    EXPECT_EQ(stub_->Cancel(&cancel_context, cancel, &cancelled).error_code(), grpc::StatusCode::NOT_FOUND) << id;
  }
}

TEST_F(RenderServiceTest, PictureThatIsDamagedOnDiskIsNotSent) {
  const std::string id = Submit(SampleSpec());
  Watch(id);
  for (const auto& file : std::filesystem::directory_iterator(folder_->pictures())) {
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 3);
  }
  const Watched cut = Watch(id, true);
  EXPECT_EQ(cut.status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(cut.png, "");
  pictures_->RemoveOlderThan(store_->Get(id)->picture, std::chrono::minutes(-1));
  EXPECT_EQ(Watch(id, true).status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(RenderServiceTest, ListsNewestFirstPageByPageAndFiltered) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    v1::JobSpec spec = SampleSpec();
    spec.set_client(i % 2 == 0 ? "even" : "odd");
    ids.push_back(Submit(spec));
    Watch(ids.back());
  }
  renderer_.FailNext(Error(ErrorCode::kInternal, "broken"));
  const std::string failed = Submit(SampleSpec());
  Watch(failed);

  EXPECT_EQ(List({}), (std::vector<std::string>{failed, ids[4], ids[3], ids[2], ids[1], ids[0]}));
  v1::ListRequest page;
  page.set_limit(2);
  EXPECT_EQ(List(page), (std::vector<std::string>{failed, ids[4]}));
  page.set_before_id(ids[4]);
  EXPECT_EQ(List(page), (std::vector<std::string>{ids[3], ids[2]}));
  v1::ListRequest by_state;
  by_state.add_states(v1::JOB_STATE_FAILED);
  by_state.add_states(v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(List(by_state), std::vector<std::string>{failed});
  v1::ListRequest by_client;
  by_client.set_client("odd");
  EXPECT_EQ(List(by_client), (std::vector<std::string>{ids[3], ids[1]}));
}

// More names than SQLite has variables for.
TEST_F(RenderServiceTest, ListsAlsoWhenAStateIsNamedVeryOften) {
  const std::string id = Submit(SampleSpec());
  Watch(id);
  v1::ListRequest request;
  for (int i = 0; i < 100'000; ++i) request.add_states(i % 2 == 0 ? v1::JOB_STATE_DONE : v1::JOB_STATE_FAILED);
  EXPECT_EQ(List(request), std::vector<std::string>{id});
}

TEST_F(RenderServiceTest, RefusesListsThatAreOutOfRange) {
  for (const auto& [limit, state] : {std::pair(-1, 1), std::pair(1001, 1), std::pair(1, 9)}) {
    grpc::ClientContext context;
    v1::ListRequest request;
    request.set_limit(limit);
    request.add_states(static_cast<v1::JobState>(state));
    v1::ListResponse response;
    const grpc::Status status = stub_->List(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << limit << " " << state;
    EXPECT_NE(status.error_message().find(limit == 1 ? "states" : "limit"), std::string::npos)
        << status.error_message();
  }
}

TEST_F(RenderServiceTest, PagesOfLongPromptsStaySmallEnoughToReceive) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "megabytes through an uninstrumented gRPC take minutes under ThreadSanitizer";
#endif
  renderer_.HoldBefore(0);
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(Submit(SampleSpec(std::string(1'000'000, 'x'))));
  Await(ids[0], v1::JOB_STATE_RENDERING);  // one is in work, and its prompt in memory
  grpc::ClientContext context;
  v1::ListResponse page;
  ASSERT_TRUE(stub_->List(&context, {}, &page).ok());
  ASSERT_EQ(page.jobs_size(), 4);
  EXPECT_LT(page.ByteSizeLong(), 4 * (kShownPromptBytes + 1000));
  for (const v1::Job& job : page.jobs()) {
    EXPECT_TRUE(job.prompts_shortened());
    EXPECT_EQ(job.spec().prompt().user().size(), kShownPromptBytes);
    EXPECT_FALSE(Get(job.id()).prompts_shortened());
    EXPECT_EQ(Get(job.id()).spec().prompt().user().size(), 1'000'000u);
  }
  EXPECT_TRUE(Cancel(ids[3]).prompts_shortened() || Get(ids[3]).prompts_shortened());
  renderer_.LetGo();
}

TEST_F(RenderServiceTest, TakesNoJobWhileTheDiskIsNearlyFull) {
  const std::string before = Submit(SampleSpec());
  disk_is_full_ = true;
  v1::SubmitResponse response;
  const grpc::Status refused = RendererInTest::Submit({SpecMessage(SampleSpec())}, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.error_message(), "the disk is nearly full");
  EXPECT_EQ(Watch(before).last().state(), v1::JOB_STATE_DONE) << "what was accepted goes on";
  disk_is_full_ = false;
  Submit(SampleSpec());
}

TEST(CallShares, AreOfEachHostAndOfAll) {
  CallShares shares({.in_all = 3, .per_host = 2});
  std::optional<CallShares::Place> first = shares.Take("a"), second = shares.Take("a");
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(shares.Take("a")) << "its own are taken";
  std::optional<CallShares::Place> third = shares.Take("b");
  ASSERT_TRUE(third);
  EXPECT_FALSE(shares.Take("c")) << "all are taken";
  first.reset();
  EXPECT_TRUE(shares.Take("c")) << "and given back at once";
  EXPECT_TRUE(shares.Take("a"));
}

TEST_F(RenderServiceTest, TellsWhySubmissionsWereRefused) {
  v1::JobSpec spec = SampleSpec();
  spec.set_width(17);
  v1::SubmitResponse response;
  EXPECT_FALSE(RendererInTest::Submit({SpecMessage(spec)}, &response).ok());
  EXPECT_FALSE(RendererInTest::Submit({}, &response).ok());
  Submit(SampleSpec());
  const std::lock_guard lock(refusals_mutex_);
  EXPECT_EQ(refusals_, std::vector<absl::StatusCode>(2, absl::StatusCode::kInvalidArgument));
}

TEST_F(RenderServiceTest, RefusesMoreStepsThanItsOperatorAllows) {
  v1::JobSpec spec = SampleSpec();
  spec.set_steps(101);
  v1::SubmitResponse response;
  const grpc::Status status = RendererInTest::Submit({SpecMessage(spec)}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "101 steps are asked for; this renderer allows at most 100 (render.max_steps)");
}

TEST_F(RenderServiceTest, DescribesWhatIsLoadedAndWhoIsWaiting) {
  renderer_.HoldBefore(0);
  Await(Submit(SampleSpec()), v1::JOB_STATE_RENDERING);
  Await(Submit(SampleSpec()), v1::JOB_STATE_READY);
  grpc::ClientContext context;
  v1::DescribeRendererResponse response;
  ASSERT_TRUE(stub_->Describe(&context, {}, &response).ok());
  const RendererFacts facts = SampleFacts();
  EXPECT_EQ(response.program_version(), kVersion);
  EXPECT_EQ(response.transformer_fingerprint(), facts.transformer_fingerprint);
  EXPECT_EQ(response.vae_fingerprint(), facts.vae_fingerprint);
  EXPECT_EQ(response.cap_feat_dim(), facts.cap_feat_dim);
  EXPECT_EQ(response.row_limit(), facts.row_limit);
  EXPECT_EQ(response.size_multiple(), facts.size_multiple);
  EXPECT_EQ(response.max_side(), facts.max_side);
  EXPECT_EQ(response.default_shift(), facts.default_shift);
  EXPECT_EQ(response.dtype(), facts.dtype);
  EXPECT_EQ(response.device(), facts.device);
  EXPECT_EQ(response.threads(), facts.threads);
  EXPECT_EQ(response.tile_size(), 512);
  EXPECT_EQ(response.tile_overlap(), 64);
  EXPECT_EQ(response.tiles_beyond(), 768);
  EXPECT_EQ(response.max_pixels(), 1024 * 1024);
  EXPECT_EQ(response.max_steps(), 100);
  EXPECT_EQ(response.max_prompt_tokens(), 900);
  EXPECT_EQ(response.client_queue_limit(), 500);
  EXPECT_EQ(response.queued(), 1);
  EXPECT_EQ(response.running(), 1);
  ASSERT_EQ(response.encoders_size(), 1);
  EXPECT_EQ(response.encoders(0).error(), "nobody there");
  EXPECT_EQ(response.conditioning_store().misses(), 3);
  renderer_.LetGo();
}

// No model yet.
class LoadingRenderServiceTest : public RendererInTest {};

TEST_F(LoadingRenderServiceTest, EverythingIsUnavailableWithAHint) {
  grpc::ClientContext context;
  v1::DescribeRendererResponse description;
  const grpc::Status describe = stub_->Describe(&context, {}, &description);
  EXPECT_EQ(describe.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(describe.error_message().find("loading"), std::string::npos);
  v1::SubmitResponse submitted;
  EXPECT_EQ(RendererInTest::Submit({SpecMessage(SampleSpec())}, &submitted).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Watch("01ARZ3NDEKTSV4RRFFQ69G5FAV").status.error_code(), grpc::StatusCode::UNAVAILABLE);
  Open();
  EXPECT_EQ(Watch(Submit(SampleSpec())).last().state(), v1::JOB_STATE_DONE);
}

}  // namespace
}  // namespace diptych
