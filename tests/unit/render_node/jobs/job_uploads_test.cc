#include "render_node/jobs/job_uploads.h"

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/job_store_fixture.h"

namespace diptych {
namespace {

using enum JobState;

class JobUploadsTest : public SqliteJobStoreTest {
 protected:
  std::string Accept(const JobSpec& spec, const UploadedConditioning& uploaded) {
    return uploads_.Accept(spec, uploaded, kNow).id;
  }
  void End(const std::string& id, JobState to) {
    JobProgress progress;
    progress.finished_unix_ms = kNow + 5;
    uploads_.Release(store_->Transition({id}, kQueued, to, progress));
  }
  int64_t Files() const { return std::distance(std::filesystem::directory_iterator(folder_->conditioning()), {}); }

  ConditioningFiles files_{folder_->conditioning()};
  JobUploads uploads_{*store_, files_};
};

TEST_F(JobUploadsTest, GivesBackWhatWasUploaded) {
  const std::string both = Accept(SpecOf("a cat"), {ConditioningOf(1), ConditioningOf(2)});
  const std::string none = Accept(SpecOf("a cat"), {});
  EXPECT_EQ(uploads_.Load(both).positive->bytes, ConditioningOf(1).bytes);
  EXPECT_EQ(uploads_.Load(both).positive->header, ConditioningOf(1).header);
  EXPECT_EQ(uploads_.Load(both).negative->bytes, ConditioningOf(2).bytes);
  EXPECT_FALSE(uploads_.Load(none).positive.has_value());
  EXPECT_FALSE(uploads_.Load(none).negative.has_value());
  EXPECT_EQ(ErrorOf([&] { uploads_.Load("unknown"); })->code(), ErrorCode::kNotFound);
  EXPECT_EQ(store_->Rows(both).bytes, 48);
  EXPECT_GT(store_->Queued()[0].bytes, store_->Queued()[1].bytes + 40) << "counted for the host";
}

TEST_F(JobUploadsTest, RemovesFilesWhenNoUnfinishedJobNeedsThem) {
  const std::string first = Accept(SpecOf("a"), {ConditioningOf(1), ConditioningOf(2)});
  const std::string second = Accept(SpecOf("b"), {ConditioningOf(1), {}});
  EXPECT_EQ(Files(), 2);
  End(first, kCancelled);
  EXPECT_EQ(Files(), 1) << "the second needs its own still";
  EXPECT_EQ(uploads_.Load(second).positive->bytes, ConditioningOf(1).bytes);
  End(second, kFailed);
  EXPECT_EQ(Files(), 0);
  EXPECT_EQ(ErrorOf([&] { uploads_.Load(second); })->code(), ErrorCode::kDataLoss);
}

TEST_F(JobUploadsTest, LeavesNothingOfASubmissionThatWasRefused) {
  JobSpec keyed = SpecOf("c");
  keyed.idempotency_key = "k1";
  const std::string id = Accept(keyed, {ConditioningOf(3), {}});
  EXPECT_THROW(Accept(keyed, {ConditioningOf(4), {}}), Error);
  EXPECT_EQ(Files(), 1);
  EXPECT_EQ(uploads_.Load(id).positive->bytes, ConditioningOf(3).bytes);
  EXPECT_EQ(Accept(keyed, {ConditioningOf(3), {}}), id) << "the very same rows";
  EXPECT_EQ(uploads_.FindAccepted(keyed, {ConditioningOf(3), {}}), id);
}

TEST_F(JobUploadsTest, NoRowNamesAFileThatCouldNotBeWritten) {
  std::filesystem::remove(folder_->conditioning());
  EXPECT_THROW(Accept(SpecOf("a"), {ConditioningOf(1), {}}), Error);
  EXPECT_TRUE(store_->Queued().empty());
}

// Uploads come and go with jobs that end and begin, all of the same rows: none may lose them.
TEST_F(JobUploadsTest, LeavesFilesToThoseWhoComeWhileOthersEnd) {
  std::vector<std::jthread> threads;
  std::atomic<int> lost = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const std::string id = Accept(SpecOf("a"), {ConditioningOf(1), {}});
        if (ErrorOf([&] { uploads_.Load(id); })) ++lost;
        End(id, kCancelled);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(lost, 0);
}

}  // namespace
}  // namespace diptych
