// Work on many jobs of one's queue, a pause, and what is said as JSON or not at all.
#include <pty.h>
#include <unistd.h>

#include <filesystem>

#include "gtest/gtest.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

using nlohmann::json;

class RunJobsTest : public RunTest {
 protected:
  void Submit(const std::string& prompt, const std::string& client) {
    ASSERT_EQ(
        RunWithRenderer({"submit", prompt, "--width", "16", "--height", "16", "--steps", "1", "--client", client}),
        kExitDone)
        << err_.str();
  }
};

TEST_F(RunJobsTest, CancelsSeveralAndGoesOnAfterAFailure) {
  for (int i = 0; i < 3; ++i) Submit("x", "ada");
  EXPECT_EQ(RunWithRenderer({"cancel", "job-1", "nope", "job-3", "job-1", "--client", "ada"}), kExitFailed);
  EXPECT_EQ(out_.str(), "job-1 cancelled\njob-3 cancelled\n");
  EXPECT_EQ(err_.str(),
            "diptych: warning: there is no job nope\n"
            "diptych: error: 1 of 3 jobs could not be cancelled; the first: there is no job nope\n");
  EXPECT_EQ(renderer_.state("job-2"), "JOB_STATE_QUEUED");
  EXPECT_EQ(renderer_.asked(), (std::vector<std::string>{"cancel job-1 by ada", "cancel job-3 by ada"}));
}

TEST_F(RunJobsTest, TakesOnesOwnJobsOrThoseOfEverybody) {
  Submit("a cat", "ada");
  Submit("a dog", "ada");
  Submit("a cat", "bob");
  EXPECT_EQ(RunWithRenderer({"cancel", "--text", "cat", "--client", "ada"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "job-1 cancelled\n");
  EXPECT_EQ(RunWithRenderer({"cancel", "--mine", "--client", "ada"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "job-2 cancelled\n");
  EXPECT_EQ(RunWithRenderer({"cancel", "--mine", "--client", "ada"}), kExitDone);
  EXPECT_EQ(out_.str() + err_.str(), "no jobs\n");
  EXPECT_EQ(RunWithRenderer({"cancel", "--all", "--force", "--client", "ada"}), kExitDone);
  EXPECT_EQ(out_.str(), "job-3 cancelled\n");
  EXPECT_EQ(renderer_.asked().back(), "cancel job-3 by ada, with force");
  EXPECT_EQ(RunWithRenderer({"rm", "--all", "--force", "--state", "cancelled", "--json"}), kExitDone);
  EXPECT_EQ(json::parse(out_.str()), (json{{"removed", {"job-1", "job-2", "job-3"}}, {"failed", json::array()}}));
}

TEST_F(RunJobsTest, AsksWhichJobsAreMeant) {
  ExpectUsage({"cancel", "--render", renderer_.address}, "ID is missing: name jobs, or \"last\"");
  ExpectUsage({"cancel", "job-1", "--mine", "--render", renderer_.address}, "exclude each other");
  ExpectUsage({"rm", "--all", "--mine", "--render", renderer_.address}, "--mine and --all exclude each other");
  ExpectUsage({"watch", "--state", "gone", "--render", renderer_.address}, "--state gone is none of");
}

TEST_F(RunJobsTest, TakesShortIdsThatFitOneJobAlone) {
  renderer_.AddOldJobs(12, v1::JOB_STATE_DONE);  // id-0000 to id-0011
  EXPECT_EQ(RunWithRenderer({"rm", "ID-0003"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "id-0003 removed\n");
  EXPECT_EQ(RunWithRenderer({"rm", "0004"}), kExitDone) << "the end of one";
  EXPECT_EQ(out_.str(), "id-0004 removed\n");
  EXPECT_EQ(RunWithRenderer({"rm", "id-001"}), kExitFailed);
  ExpectOneLineWith("id-001 is the beginning or end of 2 jobs: id-0011, id-0010");
  Submit("x", "ada");
  for (int i = 0; i < 9; ++i) Submit("y", "bob");
  EXPECT_EQ(RunWithRenderer({"cancel", "job-1"}), kExitDone) << "there is job-10, but this is a whole id";
  EXPECT_EQ(out_.str(), "job-1 cancelled\n");
}

TEST_F(RunJobsTest, ReadsNoMoreJobsThanAShortIdMayMean) {
  renderer_.AddOldJobs(300, v1::JOB_STATE_DONE);
  EXPECT_EQ(RunWithRenderer({"rm", "0234"}), kExitDone) << err_.str();
  EXPECT_EQ(renderer_.listed, 1);
  EXPECT_EQ(RunWithRenderer({"rm", "id-"}), kExitFailed);
  ExpectOneLineWith("id- is the beginning or end of 100 jobs and more: id-0299, id-0298");
  EXPECT_LE(renderer_.listed, 101);
  renderer_.knows_no_id_parts = true;
  EXPECT_EQ(RunWithRenderer({"rm", "0235"}), kExitDone) << "an older renderer, and all jobs are read";
  EXPECT_EQ(out_.str(), "id-0235 removed\n");
  EXPECT_EQ(RunWithRenderer({"rm", ""}), kExitFailed);
  ExpectOneLineWith("there is no job ");
}

TEST_F(RunJobsTest, AsksOnATerminalBeforeItForgetsTheJobsOfEverybody) {
  int ours = -1;
  ASSERT_EQ(openpty(&ours, &input_, nullptr, nullptr, nullptr), 0);
  err_columns_ = [] { return size_t{80}; };
  const auto answer = [&](const std::string& text) { ASSERT_GT(write(ours, text.data(), text.size()), 0); };
  renderer_.AddOldJobs(2, v1::JOB_STATE_DONE);
  answer("\n");
  EXPECT_EQ(RunWithRenderer({"rm", "--all"}), kExitFailed);
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(err_.str(), "forget 2 jobs of whoever they are, with their pictures? [y/N] nothing was removed\n");
  answer("yes\n");
  EXPECT_EQ(RunWithRenderer({"rm", "--all"}), kExitDone);
  EXPECT_EQ(out_.str(), "id-0000 removed\nid-0001 removed\n");
  renderer_.AddOldJobs(2, v1::JOB_STATE_DONE);
  EXPECT_EQ(RunWithRenderer({"rm", "id-0001"}), kExitDone) << "it is named: no question";
  EXPECT_EQ(RunWithRenderer({"rm", "--all", "--force"}), kExitDone) << "no question";
  EXPECT_EQ(out_.str(), "id-0000 removed\n");
  close(ours);
  close(input_);
}

TEST_F(RunJobsTest, ForgetsTheJobsOfEverybodyUnaskedOnlyWithForce) {
  renderer_.AddOldJobs(2, v1::JOB_STATE_DONE);
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  input_ = pipe_ends[0];
  for (const bool errors_are_seen : {false, true}) {
    if (errors_are_seen) err_columns_ = [] { return size_t{80}; };
    ExpectUsage({"rm", "--all", "--render", renderer_.address},
                "nobody can be asked here (no terminal): --force forgets those of everybody without asking, --mine");
  }
  EXPECT_EQ(renderer_.asked(), std::vector<std::string>{});
  EXPECT_EQ(RunWithRenderer({"rm", "--all", "--force"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "id-0000 removed\nid-0001 removed\n");
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST_F(RunJobsTest, KnowsTheLastJobOfOnesOwn) {
  Submit("x", "ada");
  Submit("y", "bob");
  EXPECT_EQ(RunWithRenderer({"watch", "last", "--client", "ada"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str().rfind("job-1 done\n", 0), 0u) << out_.str();
  EXPECT_EQ(RunWithRenderer({"watch", "last", "--client", "cy"}), kExitFailed);
  ExpectOneLineWith("there is no job of \"cy\"");
}

TEST_F(RunJobsTest, FetchesSeveralIntoAFolderOrUnderNumberedNames) {
  for (int i = 0; i < 2; ++i) {
    Submit("x", "ada");
    ASSERT_EQ(RunWithRenderer({"watch", "last", "--client", "ada"}), kExitDone);
  }
  EXPECT_EQ(RunWithRenderer({"fetch", "job-1", "job-2", "--output", folder_ / "p.png"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), (folder_ / "p-1.png") + "\n" + (folder_ / "p-2.png") + "\n");
  EXPECT_EQ(RunWithRenderer({"fetch", "--mine", "--client", "ada", "--output", folder_ / "all/", "--json"}), kExitDone)
      << err_.str();
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_EQ(Lines()[1]["job"]["id"], "job-2");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "all/job-1.png"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "all/job-2.png"));
}

TEST_F(RunJobsTest, PausesAndResumesTheQueue) {
  EXPECT_EQ(RunWithRenderer({"pause", "--client", "ada"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "the queue is paused; what is in work is finished, and diptych resume goes on\n");
  EXPECT_EQ(RunWithRenderer({"pause", "--client", "bob"}), kExitDone);
  EXPECT_EQ(out_.str().rfind("the queue was paused by ada since ", 0), 0u) << out_.str();
  EXPECT_EQ(RunWithRenderer({"nodes"}), kExitDone);
  EXPECT_NE(out_.str().find(" at work, paused by ada since "), std::string::npos) << out_.str();
  EXPECT_EQ(RunWithRenderer({"nodes", "--json"}), kExitDone);
  EXPECT_EQ(json::parse(out_.str())["renderer"]["pause"]["by"], "ada");
  EXPECT_EQ(RunWithRenderer({"resume", "--client", "bob"}), kExitFailed);
  ExpectOneLineWith("paused by client ada");
  EXPECT_EQ(RunWithRenderer({"resume", "--client", "bob", "--force", "--json"}), kExitDone);
  EXPECT_EQ(json::parse(out_.str()), (json{{"pause", nullptr}, {"was_paused", true}}));
  EXPECT_EQ(RunWithRenderer({"resume"}), kExitDone);
  EXPECT_EQ(out_.str(), "the queue was not paused\n");
}

TEST_F(RunJobsTest, SaysErrorsAsJsonWhereJsonIsWanted) {
  const auto error = [&](int status, const std::vector<std::string>& arguments) {
    EXPECT_EQ(Run(arguments), status);
    EXPECT_EQ(out_.str(), "");
    const json said = json::parse(err_.str());
    EXPECT_EQ(said["error"]["exit_status"], status);
    EXPECT_FALSE(said["error"]["message"].get<std::string>().empty());
    return said["error"]["code"].get<std::string>();
  };
  EXPECT_EQ(error(kExitUsage, {"jobs", "--json", "--nonsense"}), "INVALID_ARGUMENT");
  EXPECT_EQ(error(kExitUsage, {"nocommand", "--json"}), "INVALID_ARGUMENT");
  EXPECT_EQ(error(kExitUsage, {"generate", "a cat", "--width", "17", "--json"}), "INVALID_ARGUMENT");
  EXPECT_EQ(error(kExitFailed, {"nodes", "--json", "--render", "127.0.0.1:1"}), "UNAVAILABLE");
  EXPECT_EQ(error(kExitFailed, {"cancel", "nope", "--json", "--render", renderer_.address}), "NOT_FOUND");
}

TEST_F(RunJobsTest, SaysNothingButErrorsWhenItShallBeQuiet) {
  std::vector<std::string> generate = Generate(folder_ / "p.png");
  generate.push_back("-q");
  EXPECT_EQ(RunWithRenderer(generate), kExitDone);
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(out_.str().rfind((folder_ / "p.png") + "\n", 0), 0u) << "results are no noise";
  renderer_.fail_with = "out of memory";
  EXPECT_EQ(RunWithRenderer(generate), kExitFailed);
  EXPECT_EQ(err_.str(), "diptych: error: out of memory\n");
}

}  // namespace
}  // namespace diptych
