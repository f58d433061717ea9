// The renderer on a disk that is full, read-only or damaged, and with a clock that is set: what was accepted stays, and
// everybody is told.
#include <signal.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/trouble.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const Arguments kSmall = {"--width", "64", "--height", "64", "--steps", "2", "--seed", "7"};
const Arguments kMedium = {"--width", "256", "--height", "256", "--steps", "30", "--seed", "7"};

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class StorageTroubleTest : public testing::Test, protected User {
 protected:
  StorageTroubleTest() : User(FreeAddress()) { Start(); }
  using User::Run;  // not the one of Test

  Arguments Flags() const {
    return {"--model-path", ToyPath("toy_a"), "--encoder", encoder_.address(), "--state-dir",
            state_,         "--threads",      "1",         "--log-level",      "info"};
  }
  void Start() { renderer_.emplace("diptych-renderd", Flags(), address(), trouble_.environment()); }
  // A start that must be refused, with these words.
  void ExpectRefusedStart(const std::string& words) {
    const Outcome outcome =
        RunDaemon("diptych-renderd", Flags() + Arguments{"--listen", address()}, trouble_.environment());
    EXPECT_EQ(outcome.status, 1);
    EXPECT_TRUE(Has(outcome.err, words)) << outcome.err;
  }

  // Accepted before the trouble, painted during it, finished after it; what is new is refused meanwhile.
  void LosesNothingWhile(int error, const std::string& reason) {
    const std::string quiet = Fetch(Submit(kMedium)), before = Submit(kSmall);
    const std::string small = Fetch(before);
    const std::string during = Submit(kMedium);
    Await("a step", [&] { return Job(during)["step"] >= 2; });
    trouble_.Disk(error);
    const Outcome refused = Run(Arguments{"submit", "A dog"} + kSmall);
    EXPECT_EQ(refused.status, 1);
    ASSERT_EQ(ErrorLines(refused).size(), 1u) << refused.err;
    EXPECT_TRUE(Has(ErrorLines(refused)[0], reason)) << refused.err;
    EXPECT_EQ(Job(before)["state"], "done") << "what is there can be seen";
    EXPECT_EQ(Fetch(before), small);
    Await("the job says what it waits for", [&] { return Has(Job(during)["detail"], reason); });
    EXPECT_TRUE(renderer_->IsRunning());
    trouble_.Disk(0);
    EXPECT_EQ(Fetch(during), quiet) << "the same picture as without trouble";
    EXPECT_EQ(Fetch(Submit(kSmall)), small);
    EXPECT_EQ(Json({"jobs"}).size(), 4u) << "nothing of the one that was refused";
  }

  const std::string state_ = *this / "state";
  Trouble trouble_{*this / "control", state_};
  Daemon encoder_ = StartEncoder(ToyPath("toy_a"), {"--threads", "1"});
  std::optional<Daemon> renderer_;
};

TEST_F(StorageTroubleTest, AFullDiskDelaysJobsAndLosesNone) { LosesNothingWhile(ENOSPC, "full"); }

// They may be free again in a moment: nothing that was accepted fails for it, and no step is painted twice.
TEST_F(StorageTroubleTest, AJobForWhichNoDescriptorIsLeftWaitsAndLosesNothing) {
  const std::string quiet = Fetch(Submit(kMedium));
  const std::string during = Submit(kMedium);
  Await("a step", [&] { return Job(during)["step"] >= 2; });
  trouble_.Open(EMFILE);
  const std::string behind = Submit(kSmall);  // the store's files are open already
  Await("the job says what it waits for", [&] { return Has(Job(during)["detail"], "Too many open files"); });
  EXPECT_TRUE(renderer_->IsRunning());
  trouble_.Open(0);
  EXPECT_EQ(Fetch(during), quiet);
  Fetch(behind);
}

TEST_F(StorageTroubleTest, AFileSystemWithoutSharedMappingsIsSaidToBeNone) {
  ASSERT_EQ(renderer_->Stop(), 0);
  trouble_.SharedMappings(ENODEV);
  ExpectRefusedStart("state folder " + state_ +
                     ": its file system has no shared mappings (No such device); the job store needs a folder on a "
                     "local disk");
  trouble_.SharedMappings(0);
  Start();
}

TEST_F(StorageTroubleTest, ADeadlineOnAFullDiskEndsTheWorkAndIsNotLoggedAgainAndAgain) {
  // A machine that is busy may not have made a step by then: that job has failed, and the next one gets longer.
  std::string id;
  for (const char* deadline : {"3", "12", "48"}) {
    id = Submit({"--width", "512", "--height", "512", "--steps", "1000", "--deadline", deadline});
    Await("a step", [&] { return Job(id)["step"] >= 1 || Job(id)["state"] == "failed"; });
    if (Job(id)["state"] != "failed") break;
  }
  trouble_.Disk(ENOSPC);
  Await("the log says it", [&] { return Has(renderer_->Log(), "deadline of job " + id); });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const std::string log = renderer_->Log();
  EXPECT_EQ(log.find("deadline of job " + id), log.rfind("deadline of job " + id)) << log;
  int step = -1;
  Await("nobody works on it", [&] {  // the step under way may be ended yet
    const int before = std::exchange(step, Job(id)["step"].get<int>());
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return before == step;
  });
  trouble_.Disk(0);
  Await("it has failed", [&] { return Job(id)["state"] == "failed"; });
  EXPECT_EQ(Job(id)["error_code"], "DEADLINE_EXCEEDED");
}

TEST_F(StorageTroubleTest, AReadOnlyDiskDelaysJobsAndLosesNone) {
  LosesNothingWhile(EROFS, "");
  const std::string id = Json({"jobs"})[0]["id"];
  renderer_->Kill();
  trouble_.Disk(EROFS);
  ExpectRefusedStart("Read-only file system");
  trouble_.Disk(0);
  Start();
  EXPECT_EQ(Job(id)["state"], "done");
}

TEST_F(StorageTroubleTest, ADamagedStoreIsRefusedLeftAloneAndUsedAgainWhenItIsPutBack) {
  const std::string id = Submit(kSmall), picture = Fetch(id);
  ASSERT_EQ(renderer_->Stop(), 0);
  const fs::path store = fs::path(state_) / "jobs.sqlite";
  const std::string good = ReadFile(store);
  std::string header = good, root = good;
  header[20] ^= 0x55;
  for (size_t i = 0; i < 4096; ++i) root[4096 + i] = static_cast<char>(i * 7);  // the table's first page
  for (const std::string& bad : {good.substr(0, good.size() / 2), header, root, std::string("not a store")}) {
    WriteFile(store, bad);
    ExpectRefusedStart("job store " + store.string());
    EXPECT_EQ(ReadFile(store), bad);
  }
  WriteFile(store, good);
  Start();
  EXPECT_EQ(Fetch(id), picture);
}

TEST_F(StorageTroubleTest, ADamagedLogIsReportedAndKept) {
  for (int i = 0; i < 3; ++i) Fetch(Submit(kSmall));
  renderer_->Kill();
  const fs::path log = fs::path(state_) / "jobs.sqlite-wal";
  std::string bytes = ReadFile(log);
  ASSERT_GT(bytes.size(), 40'000u);
  bytes.back() ^= 0x20;
  WriteFile(log, bytes);
  Start();
  EXPECT_TRUE(Has(renderer_->Log(), "the job store's log is damaged")) << renderer_->Log();
  EXPECT_EQ(ReadFile(log.string() + ".damaged"), bytes);
  Fetch(Submit(kSmall));
}

TEST_F(StorageTroubleTest, ADamagedPictureIsSaidToBeDamaged) {
  const std::string id = Submit(kSmall), picture = Fetch(id);
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(state_) / "pictures")) {
    std::string bytes = ReadFile(entry.path());
    bytes[bytes.size() / 2] ^= 0x01;
    WriteFile(entry.path(), bytes);
  }
  const Outcome fetched = Run({"fetch", id, "--output", *this / "damaged.png"});
  EXPECT_EQ(fetched.status, 1);
  EXPECT_TRUE(Has(fetched.err, "damaged")) << fetched.err;
  EXPECT_FALSE(fs::exists(*this / "damaged.png"));
}

TEST_F(StorageTroubleTest, AClockThatIsSetForgetsAndFailsNothing) {
  renderer_->Stop();
  renderer_.emplace("diptych-renderd", Flags() + Arguments{"--keep-days", "1"}, address(), trouble_.environment());
  const std::string before = Submit(kSmall), picture = Fetch(before);
  const std::string running = Submit(kMedium + Arguments{"--deadline", "600"});
  const std::string waiting = Submit(kSmall + Arguments{"--deadline", "600"});
  trouble_.Clock(10 * 24 * 3600);
  EXPECT_EQ(Job(before)["state"], "done");
  Fetch(running);
  EXPECT_EQ(Fetch(waiting), picture);
  trouble_.Clock(-10 * 24 * 3600);
  const std::string late = Submit(kSmall);
  EXPECT_GT(late, waiting) << "ids rise with time, also when the clock is set back";
  EXPECT_EQ(Fetch(late), picture);
  renderer_->Kill();
  Start();
  const json jobs = Json({"jobs"});
  ASSERT_EQ(jobs.size(), 4u);
  for (const json& job : jobs) EXPECT_EQ(job["state"], "done");
}

}  // namespace
}  // namespace diptych::integration
