#include "coordinator/client/job_json.h"

#include <nlohmann/json.hpp>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using nlohmann::json;

TEST(JobJson, SaysAllOfAJob) {
  JobView job;
  job.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  job.state = JobState::kDecoding;
  job.client = "ann";
  job.priority = 3;
  job.prompt = "a cat";
  job.prompts_shortened = true;
  job.width = 64;
  job.height = 32;
  job.seed = 18446744073709551615u;
  job.step = 2;
  job.steps = 9;
  job.sigma = 0.5;
  job.left_ms = 70;
  job.error = "why";
  job.error_code = "UNAVAILABLE";
  job.detail = "waits";
  job.place = QueuePlace{
      .jobs_ahead = 4, .others_ahead = 2, .wait_ms = 1.5, .held_up = "no encoder", .pause = QueuePause{"bob", 7}};
  job.tiles_done = 1;
  job.tiles = 6;
  job.until_done_ms = 90;
  job.deadline_unix_ms = 11;
  job.attempt = 2;
  job.accepted_unix_ms = 12;
  job.finished_unix_ms = 13;
  job.fits.prompt = PromptFit{700, 512};
  job.fits.negative = PromptFit{5, 5};
  job.timings = {.queue_ms = 1,
                 .encode_ms = 2,
                 .transfer_ms = 3,
                 .refine_ms = 4,
                 .step_ms = {5, 6},
                 .decode_ms = 7,
                 .png_ms = 8,
                 .total_ms = 9};
  EXPECT_EQ(json(JobJson(job)), json::parse(R"({
      "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "state": "decoding", "client": "ann", "priority": 3, "prompt": "a cat",
      "prompt_shortened": true, "width": 64, "height": 32, "seed": 18446744073709551615, "step": 2, "steps": 9,
      "sigma": 0.5, "left_ms": 70.0, "error": "why", "error_code": "UNAVAILABLE", "detail": "waits",
      "place": {"jobs_ahead": 4, "others_ahead": 2, "wait_ms": 1.5, "held_up": "no encoder",
                "pause": {"by": "bob", "since_unix_ms": 7}},
      "decoding": {"tiles_done": 1, "tiles": 6}, "until_done_ms": 90.0, "deadline_unix_ms": 11, "attempt": 2,
      "accepted_unix_ms": 12, "finished_unix_ms": 13, "prompt_fit": {"token_count": 700, "rows": 512},
      "negative_fit": {"token_count": 5, "rows": 5},
      "timings": {"queue_ms": 1.0, "encode_ms": 2.0, "transfer_ms": 3.0, "refine_ms": 4.0, "step_ms": [5.0, 6.0],
                  "decode_ms": 7.0, "png_ms": 8.0, "total_ms": 9.0}})"));
}

TEST(JobJson, SaysNullOfWhatIsNotKnown) {
  const json job = JobJson({});
  for (const char* const key : {"left_ms", "place", "decoding", "until_done_ms", "prompt_fit", "negative_fit"}) {
    EXPECT_TRUE(job.at(key).is_null()) << key;
  }
  EXPECT_EQ(job["state"], "unknown");
  JobView waiting;
  waiting.place.emplace();
  EXPECT_TRUE(JobJson(waiting)["place"]["wait_ms"].is_null());
  EXPECT_TRUE(JobJson(waiting)["place"]["pause"].is_null());
}

TEST(PauseJson, SaysWhoAndSinceWhen) { EXPECT_EQ(PauseJson({"bob", 7}).dump(), R"({"by":"bob","since_unix_ms":7})"); }

}  // namespace
}  // namespace diptych
