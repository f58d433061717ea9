// A renderer that says what it likes: nothing of it is obeyed by a terminal, fills memory or disk, or is believed.
#include <filesystem>
#include <functional>
#include <limits>

#include "common/foreign_text/escape.h"
#include "common/prompt/utf8.h"
#include "coordinator/client/render_client.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

using nlohmann::json;

// ESC, DEL, CSI of C1, a line separator, right-to-left override, and a line break that begins a forged line.
const char kHostile[] =
    "\x1b]0;owned\x07\x1b[2J\x7f\xC2\x9B"
    "31m\xE2\x80\xA8\xE2\x80\xAE\r\ndiptych: error: forged";

class HostileRendererTest : public RunTest {
 protected:
  static constexpr size_t kMostBytes = 20'000;  // of what one command prints, whatever it was sent

  void Submit() {
    ASSERT_EQ(RunWithRenderer({"submit", "a cat", "--size", "16x16", "--steps", "2", "--seed", "5"}), kExitDone)
        << err_.str();
  }

  // Nothing that a terminal obeys, no line that others wrote, and not much of it.
  void ExpectHarmless(const std::string& what) {
    for (const std::string& text : {out_.str(), err_.str()}) {
      EXPECT_LT(text.size(), kMostBytes) << what;
      EXPECT_EQ(FindInvalidUtf8(text), std::string::npos) << what;
      for (size_t at = 0; at < text.size(); at += ReadUtf8Character(text, at).bytes) {
        const char32_t c = ReadUtf8Character(text, at).code_point;
        EXPECT_TRUE(c == '\n' || !IsControl(c))
            << what << ": U+" << std::hex << static_cast<uint32_t>(c) << " in " << text;
      }
      EXPECT_EQ(text.find("\ndiptych: error: forged"), std::string::npos) << what << ": " << text;
    }
  }

  void ExpectNoSense(const std::vector<std::string>& arguments, const std::string& piece) {
    EXPECT_EQ(RunWithRenderer(arguments), kExitFailed) << arguments[0] << ": " << out_.str();
    EXPECT_NE(err_.str().find("makes no sense"), std::string::npos) << err_.str();
    EXPECT_NE(err_.str().find(piece), std::string::npos) << err_.str();
    ExpectHarmless(arguments[0]);
  }
};

TEST_F(HostileRendererTest, NoTextOfItsReachesATerminalAsItIs) {
  renderer_.twist_job = [](v1::Job& job) {
    job.mutable_spec()->set_client(kHostile);
    job.mutable_spec()->mutable_prompt()->set_user(kHostile);
    job.set_error(kHostile);
    job.set_error_code(kHostile);
    job.set_detail(kHostile);
    job.mutable_place()->set_held_up(kHostile);
    job.mutable_place()->mutable_pause()->set_by(kHostile);
  };
  renderer_.twist_description = [](v1::DescribeRendererResponse& response) {
    response.set_program_version(kHostile);
    response.set_dtype(kHostile);
    response.set_device(kHostile);
    response.set_schedule(kHostile);
    response.mutable_pause()->set_by(kHostile);
    response.mutable_state_folder()->set_problem(kHostile);
    response.mutable_conditioning_store()->set_last_failure(kHostile);
    response.mutable_machine()->set_libtorch(kHostile);
    response.mutable_machine()->set_blas(kHostile);
    response.mutable_machine()->set_gpu(kHostile);
    response.mutable_machine()->set_limited_by(kHostile);
    response.mutable_defaults()->set_width(16);
    response.mutable_defaults()->set_height(16);
    response.mutable_defaults()->set_steps(1);
    response.mutable_defaults()->add_words("dog");
    response.mutable_defaults()->set_words_described_in(kHostile);
    v1::EncoderStatus& encoder = *response.add_encoders();  // what a hostile encoder says through an honest renderer
    encoder.set_address(kHostile);
    encoder.set_error(kHostile);
    encoder.set_state(kHostile);
    encoder.set_model_fingerprint(kHostile);
  };
  renderer_.fail_with = kHostile;
  Submit();
  ExpectHarmless("submit");
  for (const bool as_json : {false, true}) {
    for (std::vector<std::string> arguments :
         std::vector<std::vector<std::string>>{{"submit", "a cat"},
                                               {"jobs"},
                                               {"watch", "job-1"},
                                               {"cancel", "job-1"},
                                               {"fetch", "job-1", "--output", folder_ / "p.png"},
                                               {"generate", "a cat", "--output", folder_ / "q.png"},
                                               {"nodes"},
                                               {"doctor", "--config", "none"}}) {
      if (as_json) arguments.push_back("--json");
      RunWithRenderer(arguments);
      ExpectHarmless(arguments[0] + (as_json ? " --json" : ""));
    }
  }
  EXPECT_EQ(RunWithRenderer({"jobs", "--json"}), kExitDone);
  EXPECT_EQ(json::parse(out_.str())[0]["prompt"], kHostile) << "JSON keeps the value";
}

TEST_F(HostileRendererTest, LongTextIsCut) {
  renderer_.twist_job = [](v1::Job& job) {
    job.set_error(std::string(kMostBytes / 3, '\x1b'));  // four times as long when it is escaped
    job.mutable_spec()->set_client("x");
  };
  renderer_.fail_with = "x";
  Submit();
  EXPECT_EQ(RunWithRenderer({"watch", "job-1"}), kExitFailed);
  ExpectHarmless("watch");
  EXPECT_EQ(RunWithRenderer({"watch", "job-1", "--json"}), kExitFailed);
  ExpectHarmless("watch --json");
}

TEST_F(HostileRendererTest, NumbersOutOfTheirRangeAreRefused) {
  Submit();
  using Twist = std::function<void(v1::Job&)>;
  constexpr int32_t kLeast = std::numeric_limits<int32_t>::min(), kMost = std::numeric_limits<int32_t>::max();
  const std::vector<std::pair<std::string, Twist>> twists = {
      {"steps is -2147483648", [](v1::Job& job) { job.mutable_spec()->set_steps(kLeast); }},
      {"steps is 2147483647", [](v1::Job& job) { job.mutable_spec()->set_steps(kMost); }},
      {"step is -2147483648", [](v1::Job& job) { job.set_step(kLeast); }},
      {"step is 2147483647", [](v1::Job& job) { job.set_step(kMost); }},
      {"step is 3", [](v1::Job& job) { job.set_step(3); }},
      {"width is -1", [](v1::Job& job) { job.mutable_spec()->set_width(-1); }},
      {"state is 99", [](v1::Job& job) { job.set_state(static_cast<v1::JobState>(99)); }},
      {"tiles_done is 9", [](v1::Job& job) { job.mutable_decoding()->set_tiles_done(9); }},
      {"jobs_ahead is -1", [](v1::Job& job) { job.mutable_place()->set_jobs_ahead(-1); }},
      {"others_ahead is 7", [](v1::Job& job) { job.mutable_place()->set_others_ahead(7); }},
      {"left_ms is", [](v1::Job& job) { job.set_left_ms(std::numeric_limits<double>::quiet_NaN()); }},
      {"until_done_ms is", [](v1::Job& job) { job.set_until_done_ms(1e300); }},
      {"sigma is", [](v1::Job& job) { job.set_sigma(-1); }},
      {"accepted_unix_ms is", [](v1::Job& job) { job.set_accepted_unix_ms(std::numeric_limits<int64_t>::min()); }},
      {"deadline_unix_ms is", [](v1::Job& job) { job.set_deadline_unix_ms(std::numeric_limits<int64_t>::max()); }},
      {"picture_sha256", [](v1::Job& job) { job.set_picture_sha256("beef"); }},
      {"rows is -5", [](v1::Job& job) { job.mutable_prompt_fit()->set_rows(-5); }},
      {"queue_ms is", [](v1::Job& job) { job.mutable_timings()->set_queue_ms(-1e9); }},
      {"the number of step_ms",
       [](v1::Job& job) {
         for (int i = 0; i < 2000; ++i) job.mutable_timings()->add_step_ms(1);
       }},
      {"is no id", [](v1::Job& job) { job.set_id("../../etc/passwd"); }},
      {"is no id", [](v1::Job& job) { job.set_id(kHostile); }},
      {"is no id", [](v1::Job& job) { job.set_id(std::string(65, 'a')); }},
      {"is no id", [](v1::Job& job) { job.set_id(""); }},
  };
  for (const auto& [piece, twist] : twists) {
    renderer_.twist_job = twist;
    ExpectNoSense({"watch", "job-1"}, piece);
  }
  // All commands look at a job with the same eyes.
  for (const auto& [piece, twist] : {twists.front(), twists.back()}) {
    renderer_.twist_job = twist;
    ExpectNoSense({"fetch", "job-1", "--output", folder_ / "p.png"}, piece);
    ExpectNoSense({"cancel", "job-1"}, piece);
    ExpectNoSense({"jobs"}, piece);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "p.png"));
}

TEST_F(HostileRendererTest, AnAnswerAboutAnotherJobIsRefused) {
  Submit();
  renderer_.twist_job = [](v1::Job& job) { job.set_id("job-2"); };
  const auto client = RenderClient::Make(renderer_.address, {}, std::chrono::milliseconds(5000)).value();
  const std::string piece = "it is about job job-2, asked for was job-1";
  for (const absl::Status& status :
       {client->Cancel("job-1").status(), client
                                              ->Watch(
                                                  "job-1", {}, [](const JobView&) {}, nullptr)
                                              .status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(std::string(status.message()).find(piece), std::string::npos) << status;
  }
}

TEST_F(HostileRendererTest, ItsDescriptionIsCheckedToo) {
  using Twist = std::function<void(v1::DescribeRendererResponse&)>;
  const std::vector<std::pair<std::string, Twist>> twists = {
      {"defaults.width is 0", [](auto& response) { response.mutable_defaults(); }},
      {"transformer_fingerprint", [](auto& response) { response.set_transformer_fingerprint("beef"); }},
      {"max_side is -1", [](auto& response) { response.set_max_side(-1); }},
      {"default_shift is", [](auto& response) { response.set_default_shift(1e300); }},
      {"max_steps is -1", [](auto& response) { response.set_max_steps(-1); }},
      {"the number of encoders",
       [](auto& response) {
         for (int i = 0; i < 5000; ++i) response.add_encoders();
       }},
  };
  for (const auto& [piece, twist] : twists) {
    renderer_.twist_description = twist;
    ExpectNoSense({"nodes"}, piece);
    ExpectNoSense({"generate", "a cat", "--output", folder_ / "p.png"}, piece);
  }
}

TEST_F(HostileRendererTest, AnIdThatIsNoneIsNotPrinted) {
  for (const std::string& id : {std::string(kHostile), std::string("../x"), std::string(10'000, 'a')}) {
    renderer_.twist_submission = [id](v1::SubmitResponse& response) { response.set_id(id); };
    ExpectNoSense({"submit", "a cat", "--size", "16x16", "--steps", "1"}, "is no id");
    EXPECT_EQ(out_.str(), "");
  }
}

TEST_F(HostileRendererTest, AListThatDoesNotGoDownEnds) {
  const auto pages = std::make_shared<std::atomic<int>>(0);
  const auto page = [&](const std::string& id) {
    renderer_.list = [pages, id](const v1::ListRequest&, v1::ListResponse& response) {
      const int number = 10'000 + ++*pages;
      v1::Job& job = *response.add_jobs();
      job.set_id(id.empty() ? "job-" + std::to_string(number) : id);  // going up, or for ever the same
      job.set_state(v1::JOB_STATE_DONE);
    };
  };
  for (const std::string id : {"", "job-1"}) {
    page(id);
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"jobs"}, {"rm", "--all", "--force"}, {"fetch", "--all"}, {"rm", "job"}}) {
      *pages = 0;
      EXPECT_EQ(RunWithRenderer(arguments), kExitFailed);
      EXPECT_NE(err_.str().find("which is not newer"), std::string::npos) << err_.str();
      EXPECT_LE(*pages, 3);
    }
  }
}

TEST_F(HostileRendererTest, AListThatGoesDownForEverIsHeldInBoundedMemory) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "megabytes through an uninstrumented gRPC take minutes under ThreadSanitizer";
#endif
  const auto next = std::make_shared<std::atomic<int>>(99'999'999);
  renderer_.list = [next](const v1::ListRequest&, v1::ListResponse& response) {
    for (int i = 0; i < 3; ++i) {
      v1::Job& job = *response.add_jobs();
      job.set_id("job-" + std::to_string((*next)--));
      job.set_state(v1::JOB_STATE_QUEUED);
      job.mutable_spec()->mutable_prompt()->set_user(std::string(1'000'000, 'p'));
    }
  };
  EXPECT_EQ(RunWithRenderer({"jobs"}), kExitFailed);
  EXPECT_NE(err_.str().find("the list is longer than 200 MB"), std::string::npos) << err_.str();
  EXPECT_GT(*next, 99'999'999 - 250);
}

TEST_F(HostileRendererTest, WhatIsNoPictureIsNotSaved) {
  const auto refuse = [&](const std::string& bytes, const std::string& piece) {
    renderer_.instead_of_png = bytes;
    EXPECT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitFailed);
    EXPECT_NE(err_.str().find(piece), std::string::npos) << err_.str();
    EXPECT_FALSE(std::filesystem::exists(folder_ / "p.png"));
  };
  refuse("#!/bin/sh\nrm -rf ~\n", "is no picture");
  refuse("<html><script>alert(1)</script></html>", "is no picture");
  Picture picture{32, 32, {}};
  picture.rgb.assign(size_t{3} * 32 * 32, 1);
  const std::string png = EncodePng(picture, {});
  refuse(png, "a picture of 32x32 for job job-3, which is of 16x32");
  refuse(png.substr(0, png.size() / 2), "is no picture");
}

TEST_F(HostileRendererTest, AReceiptOfSomethingElseIsSaid) {
  renderer_.twist_receipt = [](Receipt& receipt) {
    receipt.seed += 1;
    receipt.prompt->user = "a dog";
  };
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitDone) << err_.str();
  EXPECT_NE(err_.str().find("p.png is not of what was asked for: prompt, seed differ\n"), std::string::npos)
      << err_.str();
  EXPECT_EQ(RunWithRenderer({"fetch", "job-1", "--output", folder_ / "q.png"}), kExitDone) << err_.str();
  EXPECT_NE(err_.str().find("warning: the receipt of job job-1 is not of what was asked for: prompt, seed differ\n"),
            std::string::npos)
      << err_.str();
  renderer_.twist_receipt = nullptr;
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "r.png")), kExitDone);
  EXPECT_EQ(err_.str().find("not of what was asked"), std::string::npos) << err_.str();
}

}  // namespace
}  // namespace diptych
