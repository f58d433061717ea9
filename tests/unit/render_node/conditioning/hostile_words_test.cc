// What an encoder says ends up in a job's error, in the renderer's log and on its clients' terminals: bounded, and
// nothing that a terminal obeys.
#include <chrono>
#include <sstream>
#include <string>

#include "common/foreign_text/escape.h"
#include "common/foreign_text/foreign_text.h"
#include "common/prompt/utf8.h"
#include "gtest/gtest.h"
#include "render_node/conditioning/encoder_pool.h"
#include "tests/support/scripted_encoder.h"

namespace diptych {
namespace {

const std::string kHostile = "\x1b]0;owned\x07\x1b[2J\x7f\xC2\x9B\xE2\x80\xAE\n<3>forged\xFF";

void ExpectHarmless(const std::string& text, size_t most) {
  EXPECT_LE(text.size(), most);
  EXPECT_EQ(FindInvalidUtf8(text), std::string::npos);
  for (size_t at = 0; at < text.size(); at += ReadUtf8Character(text, at).bytes) {
    EXPECT_FALSE(IsControl(ReadUtf8Character(text, at).code_point)) << text;
  }
}

TEST(HostileEncoder, ItsWordsAreBoundedAndEscaped) {
  std::string words;
  while (words.size() < 2500) words += kHostile;
  for (const grpc::StatusCode code : {grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::INTERNAL}) {
    Daemon daemon;
    daemon.service.Say({}, grpc::Status(code, words));
    std::ostringstream lines;
    EncoderPoolOptions options;
    options.encoders = {daemon.address()};
    options.expected_width = 48;
    options.limits.unreachable_patience = std::chrono::milliseconds(1);
    options.log = *MakeStreamLogger(lines, LogLevel::kInfo, /*journal=*/true);
    std::string error;
    {
      EncoderPool pool(options);
      FetchRequest request;
      request.prompt.user = "a cat";
      request.row_limit = 1504;
      request.job_id = "job-1";
      try {
        pool.Fetch(request, CancelToken(), [](const std::string&) {});
        ADD_FAILURE() << "conditioning was accepted";
      } catch (const Error& refused) {
        error = refused.what();
      }
    }
    ExpectHarmless(error, kForeignSentenceBytes + 100);
    EXPECT_NE(error.find(" more bytes)"), std::string::npos) << error;
    std::istringstream log(lines.str());
    for (std::string line; std::getline(log, line);) {
      EXPECT_NE(line.rfind("<3>forged", 0), 0u);
      ExpectHarmless(line, kForeignSentenceBytes + 200);
    }
  }
}

}  // namespace
}  // namespace diptych
