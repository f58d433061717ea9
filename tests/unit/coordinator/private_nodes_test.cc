#include "coordinator/private_nodes.h"

#include <signal.h>

#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include "common/error/error.h"
#include "coordinator/child_process.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

// Daemons that are shell scripts; each writes its arguments into ARGS of its folder.
class PrivateNodesTest : public testing::Test {
 protected:
  void Program(const std::string& name, const std::string& body) {
    const std::string path = folder_ / name;
    std::ofstream(path) << "#!/bin/sh\necho \"$@\" > '" << (folder_ / (name + ".args")) << "'\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  std::string Arguments(const std::string& name) {
    std::ifstream file(folder_ / (name + ".args"));
    std::string line;
    std::getline(file, line);
    return line;
  }
  // Where its state is.
  std::filesystem::path FolderOfTheRenderer() {
    std::istringstream words(Arguments("diptych-renderd"));
    std::string word, state;
    while (words >> word) {
      if (word == "--state-dir") words >> state;
    }
    return std::filesystem::path(state).parent_path();
  }
  PrivateNodesPlan Plan() const {
    PrivateNodesPlan plan;
    plan.program_folder = folder_.path;
    plan.encoder_arguments = {"--model-path", "m"};
    plan.renderer_arguments = {"--model-path", "m"};
    return plan;
  }
  static bool Serving(NodeRole, const std::string&) { return true; }
  std::string MessageOfStart(const PrivateNodesPlan& plan, const PrivateNodes::IsServing& is_serving = Serving) {
    try {
      const PrivateNodes nodes(plan, is_serving, interrupt_);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TestFolder folder_;
  Interrupt interrupt_;
};

constexpr char kListens[] = "echo '{\"listening\":\"127.0.0.1:7\"}'; exec sleep 60";

TEST_F(PrivateNodesTest, GiveTheRendererTheEncodersAddress) {
  Program("diptych-encoderd", "echo '{\"listening\":\"127.0.0.1:5\"}'; exec sleep 60");
  Program("diptych-renderd", kListens);
  const PrivateNodes nodes(Plan(), Serving, interrupt_);
  EXPECT_EQ(nodes.encoder_address(), "127.0.0.1:5");
  EXPECT_EQ(nodes.renderer_address(), "127.0.0.1:7");
  EXPECT_EQ(Arguments("diptych-encoderd"),
            "--model-path m --listen 127.0.0.1:0 --metrics-listen  --tls-cert  --tls-key  --tls-ca ")
      << "plain on loopback, whatever the configuration says";
  EXPECT_NE(Arguments("diptych-renderd").find("--encoder 127.0.0.1:5"), std::string::npos);
  EXPECT_NE(Arguments("diptych-renderd").find("--state-dir "), std::string::npos);
  EXPECT_NE(Arguments("diptych-renderd").find("--encoder-patience 15"), std::string::npos)
      << "nobody starts a private encoder again";
}

TEST_F(PrivateNodesTest, StartOnlyWhatThePlanNames) {
  Program("diptych-renderd", kListens);
  PrivateNodesPlan plan = Plan();
  plan.encoder = false;
  const PrivateNodes nodes(plan, Serving, interrupt_);
  EXPECT_EQ(nodes.encoder_address(), "");
  EXPECT_EQ(Arguments("diptych-renderd").find("--encoder "), std::string::npos);
  EXPECT_NE(Arguments("diptych-renderd").find("--encoder-patience 15"), std::string::npos) << "what needs one tells why";
}

TEST_F(PrivateNodesTest, SayWhyADaemonEnded) {
  Program("diptych-encoderd", "echo 'noise' >&2; echo 'diptych-encoderd: tensor q_norm is missing' >&2; exit 1");
  Program("diptych-renderd", kListens);
  EXPECT_EQ(MessageOfStart(Plan()), "diptych-encoderd: tensor q_norm is missing");
}

TEST_F(PrivateNodesTest, SayWhyADaemonEndedWhileItLoaded) {
  Program("diptych-encoderd",
          "echo '{\"listening\":\"127.0.0.1:5\"}'; echo 'diptych-encoderd: truncated file' >&2; exit 1");
  Program("diptych-renderd", kListens);
  EXPECT_EQ(MessageOfStart(Plan(), [](NodeRole, const std::string&) { return false; }),
            "diptych-encoderd: truncated file");
}

TEST_F(PrivateNodesTest, TellArgumentsThatADaemonRefusesFromItsTroubles) {
  Program("diptych-encoderd", kListens);
  Program("diptych-renderd", "echo 'diptych-renderd: --tile-overlap 40 is too much' >&2; exit 2");
  try {
    const PrivateNodes nodes(Plan(), Serving, interrupt_);
    FAIL();
  } catch (const ArgumentsRefused& error) {
    EXPECT_STREQ(error.what(), "diptych-renderd: --tile-overlap 40 is too much");
  }
}

TEST_F(PrivateNodesTest, SayWhichSignalEndedADaemon) {
  Program("diptych-encoderd", "echo 'working' >&2; kill -KILL $$");
  EXPECT_EQ(MessageOfStart(Plan()).rfind("diptych-encoderd was ended by signal 9 (Killed)", 0), 0u);
}

TEST_F(PrivateNodesTest, NameAMissingProgram) {
  EXPECT_NE(MessageOfStart(Plan()).find("diptych-encoderd is missing"), std::string::npos);
}

TEST_F(PrivateNodesTest, PrintTheLogsOfAFailureWhenAsked) {
  Program("diptych-encoderd", "echo one >&2; echo two >&2; exit 1");
  std::ostringstream log;
  PrivateNodesPlan plan = Plan();
  plan.log_of_failure = &log;
  EXPECT_EQ(MessageOfStart(plan), "diptych-encoderd: two");
  EXPECT_EQ(log.str(), "diptych-encoderd: one\ndiptych-encoderd: two\n");
}

TEST_F(PrivateNodesTest, StopWaitingWhenTheUserInterrupts) {
  Program("diptych-encoderd", "exec sleep 60");
  std::thread user([&] {
    std::this_thread::sleep_for(milliseconds(50));
    interrupt_.Request();
  });
  EXPECT_EQ(MessageOfStart(Plan()), "interrupted");
  user.join();
}

TEST_F(PrivateNodesTest, RemoveTheirFolder) {
  Program("diptych-encoderd", kListens);
  Program("diptych-renderd", kListens);
  { const PrivateNodes nodes(Plan(), Serving, interrupt_); }
  const std::filesystem::path folder = FolderOfTheRenderer();
  ASSERT_FALSE(folder.empty());
  EXPECT_FALSE(std::filesystem::exists(folder));
}

// Whoever presses Ctrl-C twice gets a process that ends without destructors.
TEST_F(PrivateNodesTest, LeaveNothingBehindWhenTheUserAsksTwice) {
  Program("diptych-encoderd", std::string("trap '' TERM; ") + kListens);
  Program("diptych-renderd", kListens);
  const auto nodes = std::make_unique<PrivateNodes>(Plan(), Serving, interrupt_);
  const std::filesystem::path folder = FolderOfTheRenderer();
  ASSERT_TRUE(std::filesystem::exists(folder));
  interrupt_.Request();
  EXPECT_NO_THROW(nodes->ThrowIfOneEnded());
  interrupt_.RequestAgain();
  EXPECT_FALSE(std::filesystem::exists(folder));
  EXPECT_THROW(nodes->ThrowIfOneEnded(), Error);
}

TEST_F(PrivateNodesTest, NoticeADaemonThatDiesLater) {
  Program("diptych-encoderd", "echo '{\"listening\":\"127.0.0.1:5\"}'; sleep 0.2; echo 'out of memory' >&2; exit 1");
  Program("diptych-renderd", kListens);
  PrivateNodes nodes(Plan(), Serving, interrupt_);
  std::string message;
  for (int i = 0; i < 200 && message.empty(); ++i) {
    try {
      nodes.ThrowIfOneEnded();
      std::this_thread::sleep_for(milliseconds(10));
    } catch (const Error& error) {
      message = error.what();
    }
  }
  EXPECT_EQ(message, "diptych-encoderd: out of memory");
}

TEST_F(PrivateNodesTest, ChildIsKilledWhenItIgnoresTheRequestToEnd) {
  Program("stubborn", "trap '' TERM; echo ready; while :; do sleep 1; done");
  ChildProcess child({folder_ / "stubborn"}, folder_ / "log");
  ASSERT_EQ(child.ReadLine(milliseconds(5000)), "ready");
  const pid_t pid = child.pid();
  child.Stop(milliseconds(50));
  EXPECT_FALSE(child.IsRunning());
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(PrivateNodesTest, ChildThatCannotBeStartedIsAnError) {
  EXPECT_THROW(ChildProcess({folder_ / "nothing"}, folder_ / "log"), Error);
}

TEST(Interrupt, RunsAReactionOnceAndAtOnceWhenItIsLate) {
  Interrupt interrupt;
  int early = 0, late = 0, gone = 0;
  const Interrupt::Reaction reaction(interrupt, [&] { ++early; });
  {
    const Interrupt::Reaction ended(interrupt, [&] { ++gone; });
  }
  EXPECT_NO_THROW(interrupt.ThrowIfRequested());
  interrupt.Request();
  interrupt.Request();
  const Interrupt::Reaction second(interrupt, [&] { ++late; });
  EXPECT_EQ(early, 1);
  EXPECT_EQ(late, 1);
  EXPECT_EQ(gone, 0);
  EXPECT_THROW(interrupt.ThrowIfRequested(), Error);
}

TEST(Interrupt, RunsTheLastReactionsYoungestFirstAlsoWhileAReactionHangs) {
  Interrupt interrupt;
  std::promise<void> begun, over;
  const Interrupt::Reaction hanging(interrupt, [&] {
    begun.set_value();
    over.get_future().wait();
  });
  std::string order;
  const Interrupt::LastReaction older(interrupt, [&] { order += "older "; });
  const Interrupt::LastReaction younger(interrupt, [&] { order += "younger "; });
  std::thread first([&] { interrupt.Request(); });
  begun.get_future().wait();
  EXPECT_EQ(order, "");
  interrupt.RequestAgain();
  interrupt.RequestAgain();
  EXPECT_EQ(order, "younger older ");
  over.set_value();
  first.join();
}

}  // namespace
}  // namespace diptych
