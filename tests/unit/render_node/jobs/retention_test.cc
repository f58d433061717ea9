#include "render_node/jobs/retention.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/job_uploads.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

using enum JobState;

const std::vector<EndedJob> kJobs = {{"new", 1000, 10}, {"failed", 900, 0}, {"middle", 800, 50}, {"old", 100, 5}};

std::vector<std::string> ExpiredBy(const RetentionRules& rules) { return Expired(kJobs, rules, 1000); }

TEST(Retention, KeepsEverythingWithoutRules) { EXPECT_EQ(ExpiredBy({}), std::vector<std::string>()); }

TEST(Retention, ForgetsByAgeCountAndBytes) {
  EXPECT_EQ(ExpiredBy({.age_ms = 200}), (std::vector<std::string>{"old"}));
  EXPECT_EQ(ExpiredBy({.age_ms = 199}), (std::vector<std::string>{"middle", "old"}));
  EXPECT_EQ(ExpiredBy({.jobs = 2}), (std::vector<std::string>{"old", "middle"}));
  EXPECT_EQ(ExpiredBy({.bytes = 60}), (std::vector<std::string>{"old"}));
  EXPECT_EQ(ExpiredBy({.bytes = 59}), (std::vector<std::string>{"old", "middle"}));
  EXPECT_EQ(ExpiredBy({.age_ms = 200, .jobs = 3, .bytes = 10}), (std::vector<std::string>{"old", "middle"}));
}

TEST(Retention, ForgetsTheJobsOfTheHostThatHasMost) {
  std::vector<EndedJob> jobs = {{"honest new", 900, 100, "10.0.0.1", 1}};
  for (int i = 0; i < 6; ++i) jobs.push_back({"flood " + std::to_string(i), 800 - i, 0, "10.0.0.2", 50});
  jobs.push_back({"honest old", 1, 90, "10.0.0.1", 1});
  EXPECT_EQ(Expired(jobs, {.jobs = 5}, 1000), (std::vector<std::string>{"flood 5", "flood 4", "flood 3"}))
      << "the honest one's are older and stay";
  EXPECT_EQ(Expired(jobs, {.bytes = 392}, 1000), (std::vector<std::string>{"flood 5", "flood 4"}));
  EXPECT_EQ(Expired(jobs, {.jobs = 4, .bytes = 201}, 1000),
            (std::vector<std::string>{"flood 5", "flood 4", "flood 3", "flood 2", "honest old"}));
}

TEST(ClockTrust, TellsNoAgesForADayAfterTheClockWasSetForward) {
  constexpr int64_t kHourMs = 3'600'000;
  ClockTrust trust(1'000'000, 0);
  EXPECT_TRUE(trust.Look(1'060'000, 60'000).trusted);
  EXPECT_TRUE(trust.Look(1'060'000 - 5 * kHourMs, 60'000).trusted) << "set back: nothing seems older than it is";
  const ClockTrust::Answer jumped = trust.Look(1'060'000 + 2 * kHourMs, 60'000);
  EXPECT_FALSE(jumped.trusted);
  EXPECT_EQ(jumped.jumped_ms, 7 * kHourMs);
  const ClockTrust::Answer later = trust.Look(1'060'000 + 25 * kHourMs, 60'000 + 23 * kHourMs);
  EXPECT_FALSE(later.trusted);
  EXPECT_EQ(later.jumped_ms, 0) << "said once";
  EXPECT_TRUE(trust.Look(1'060'000 + 26 * kHourMs, 60'000 + 24 * kHourMs).trusted);
}

class SweepTest : public testing::Test {
 protected:
  std::string Done(const std::string& words, int64_t finished_ms) {
    const std::string id = uploads_.Accept(SpecOf(words), {ConditioningOf(static_cast<uint8_t>(words[0])), {}}, 1).id;
    const std::vector<uint8_t> png(words.begin(), words.end());
    JobProgress progress;
    progress.finished_unix_ms = finished_ms;
    progress.picture = pictures_.Publish(png);
    progress.picture_bytes = static_cast<int64_t>(png.size());
    MoveTo(store_, id, kDecoding);
    uploads_.Release(store_.Transition({id}, kDecoding, kDone, progress));
    return id;
  }
  void MakeAllFilesOld() {
    for (const std::filesystem::path& folder : {folder_.pictures(), folder_.conditioning()}) {
      for (const auto& file : std::filesystem::directory_iterator(folder)) {
        std::filesystem::last_write_time(file,
                                         std::filesystem::file_time_type::clock::now() - std::chrono::minutes(11));
      }
    }
  }
  static int64_t FilesIn(const std::filesystem::path& folder) {
    return std::distance(std::filesystem::directory_iterator(folder), {});
  }

  TemporaryFolder temporary_;
  StateFolder folder_{temporary_.path() / "state"};
  SqliteJobStore store_{folder_, RepeatableChance()};
  PictureStore pictures_{folder_.pictures()};
  ConditioningFiles conditioning_{folder_.conditioning()};
  InputStore inputs_{folder_.inputs()};
  JobUploads uploads_{store_, conditioning_};
};

TEST_F(SweepTest, RemovesTheFilesOfForgottenJobsThatNoOtherNeeds) {
  const std::string old = Done("same", 100), kept = Done("same", 1000), also_old = Done("other", 100);
  MakeAllFilesOld();
  const Swept swept = Sweep(store_, pictures_, conditioning_, inputs_, {.age_ms = 200}, 1000);
  EXPECT_EQ(swept.jobs, 2);
  EXPECT_EQ(swept.files, 1) << "picture of the other; uploads went when the jobs had ended";
  EXPECT_FALSE(store_.Get(old).has_value());
  EXPECT_FALSE(store_.Get(also_old).has_value());
  EXPECT_EQ(pictures_.Load(store_.Get(kept)->picture).size(), 4u);
  EXPECT_EQ(FilesIn(folder_.pictures()), 1);
  EXPECT_EQ(FilesIn(folder_.conditioning()), 0);
}

TEST_F(SweepTest, SparesFilesWhoseRowMayStillCome) {
  pictures_.Publish({1, 2, 3});
  conditioning_.Save(ConditioningOf(9));
  EXPECT_EQ(Sweep(store_, pictures_, conditioning_, inputs_, {}, 1000).files, 0);
  MakeAllFilesOld();
  pictures_.Publish({1, 2, 3});  // as good as new
  EXPECT_EQ(Sweep(store_, pictures_, conditioning_, inputs_, {}, 1000).files, 1);
  EXPECT_EQ(FilesIn(folder_.pictures()), 1);
}

TEST_F(SweepTest, SparesAFileThatIsNeededAgainWhileItLooks) {
  const std::string picture = pictures_.Publish({1, 2, 3}), upload = conditioning_.Save(ConditioningOf(9));
  MakeAllFilesOld();
  FillableStore store(store_);
  store.on_unreferenced = [&] {  // a job that makes the same picture, another that uploads the same rows
    pictures_.Publish({1, 2, 3});
    conditioning_.Save(ConditioningOf(9));
  };
  EXPECT_EQ(Sweep(store, pictures_, conditioning_, inputs_, {}, 1000).files, 0);
  EXPECT_EQ(pictures_.Load(picture).size(), 3u);
  EXPECT_EQ(conditioning_.Load(upload).bytes, ConditioningOf(9).bytes);
}

TEST_F(SweepTest, LeavesForeignFilesAlone) {
  std::ofstream(folder_.pictures() / "holiday.png") << "not ours";
  pictures_.Publish({1, 2, 3});
  conditioning_.Save(ConditioningOf(9));
  MakeAllFilesOld();
  EXPECT_EQ(Sweep(store_, pictures_, conditioning_, inputs_, {}, 1000).files, 2);
  EXPECT_TRUE(std::filesystem::exists(folder_.pictures() / "holiday.png"));
}

}  // namespace
}  // namespace diptych
