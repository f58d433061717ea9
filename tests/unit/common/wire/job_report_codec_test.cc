#include "common/wire/job_report_codec.h"

#include <google/protobuf/descriptor.h>

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

// Each member has another value that is not its default.
JobReport Full() {
  JobReport report;
  report.id = "id";
  report.state = JobState::kDecoding;
  report.step = 3;
  report.sigma = 0.5;
  report.left_ms = 4;
  report.tiles_done = 5;
  report.tiles = 6;
  report.until_done_ms = 7;
  report.place =
      QueuePlace{.jobs_ahead = 8, .others_ahead = 9, .wait_ms = 10, .held_up = "no encoder", .pause = {{"ada", 11}}};
  report.error = "out of memory";
  report.error_code = "RESOURCE_EXHAUSTED";
  report.detail = "waiting";
  report.accepted_unix_ms = 12;
  report.finished_unix_ms = 13;
  report.attempt = 14;
  report.deadline_unix_ms = 15;
  report.timings = {16, 17, 18, 19, {20, 21}, 22, 23, 24};
  report.fits = {PromptFit{1600, 1504}, PromptFit{26, 25}};
  report.sequence = 27;
  report.prompts_shortened = true;
  report.picture_sha256 = std::string(64, 'f');
  report.picture_bytes = 28;
  return report;
}

// The names of the fields that are not there; of those that are, also what is missing inside.
std::set<std::string> MissingIn(const google::protobuf::Message& message) {
  std::set<std::string> names;
  const google::protobuf::Reflection* reflection = message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = message.GetDescriptor()->field(i);
    const bool there =
        field->is_repeated() ? reflection->FieldSize(message, field) > 0 : reflection->HasField(message, field);
    if (!there) {
      names.insert(field->name());
    } else if (!field->is_repeated() && field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      names.merge(MissingIn(reflection->GetMessage(message, field)));
    }
  }
  return names;
}

TEST(JobReportCodec, TellsEveryFieldOfAJobButWhatWasAskedFor) {
  EXPECT_EQ(MissingIn(ToProto(Full())), (std::set<std::string>{"spec"}));
}

TEST(JobReportCodec, GivesAReportBackAsItWas) {
  EXPECT_EQ(FromProto(ToProto(Full())), Full());
  EXPECT_EQ(FromProto(ToProto(JobReport{})), JobReport{});
}

TEST(JobReportCodec, EveryStateHasItsNumber) {
  std::set<int> numbers;
  for (const JobState state : kJobStates) {
    numbers.insert(ToProto(state));
    EXPECT_EQ(FromProto(ToProto(state)), state) << JobStateName(state);
  }
  EXPECT_EQ(numbers, (std::set<int>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(JobReportCodec, ANumberOfALaterVersionIsAnUnknownState) {
  EXPECT_EQ(FromProto(static_cast<v1::JobState>(9)), JobState::kUnknown);
  EXPECT_EQ(FromProto(v1::JOB_STATE_UNSPECIFIED), JobState::kUnknown);
  EXPECT_EQ(ToProto(JobState::kUnknown), v1::JOB_STATE_UNSPECIFIED);
}

}  // namespace
}  // namespace diptych
