#include "render_node/service/job_messages.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/message_differencer.h>

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::MessageDifferencer;

// Gives every field another value that is not its default, so that a field which a conversion forgets is noticed, also
// one that is added to the .proto later.
class Filler {
 public:
  void Fill(Message* message) {
    const Reflection* reflection = message->GetReflection();
    for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = message->GetDescriptor()->field(i);
      if (field->name() == "template_name") continue;  // reserved: refused
      SCOPED_TRACE(field->full_name());
      if (field->is_repeated()) {
        ASSERT_EQ(field->cpp_type(), FieldDescriptor::CPPTYPE_DOUBLE);
        reflection->AddDouble(message, field, ++number_);
        reflection->AddDouble(message, field, ++number_);
        continue;
      }
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
          reflection->SetString(message, field, std::to_string(++number_));
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          reflection->SetBool(message, field, true);
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          reflection->SetInt32(message, field, ++number_);
          break;
        case FieldDescriptor::CPPTYPE_INT64:
          reflection->SetInt64(message, field, ++number_);
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          reflection->SetUInt64(message, field, ++number_);
          break;
        case FieldDescriptor::CPPTYPE_DOUBLE:
          reflection->SetDouble(message, field, ++number_ + 0.25);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          reflection->SetEnumValue(message, field, 3);
          break;
        case FieldDescriptor::CPPTYPE_MESSAGE:
          Fill(reflection->MutableMessage(message, field));
          break;
        default:
          FAIL() << "a type that this test does not know";
      }
    }
  }

 private:
  int number_ = 100;
};

std::set<std::string> FieldsSetIn(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  std::set<std::string> names;
  for (const FieldDescriptor* field : fields) names.insert(field->name());
  return names;
}

std::set<std::string> AllFieldsOf(const Message& message) {
  std::set<std::string> names;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i)
    names.insert(message.GetDescriptor()->field(i)->name());
  return names;
}

TEST(JobMessages, SaysHowManyTilesAreDecoded) {
  Job job;
  job.state = JobState::kDecoding;
  EXPECT_FALSE(ToProto(job).has_decoding()) << "as a whole";
  job.tiles_done = 2;
  job.tiles = 9;
  EXPECT_EQ(ToProto(job).decoding().tiles_done(), 2);
  EXPECT_EQ(ToProto(job).decoding().tiles(), 9);
}

TEST(JobMessages, JobShowsEveryField) {
  Job job;
  job.id = "id";
  job.state = JobState::kFailed;
  v1::JobSpec spec;
  Filler().Fill(&spec);
  job.spec = *FromProto(spec);
  job.step = 3;
  job.error = "out of memory";
  job.error_code = "RESOURCE_EXHAUSTED";
  job.detail = "waiting";
  job.accepted_unix_ms = 5;
  job.finished_unix_ms = 6;
  job.timings = {1, 2, 3, 4, {5, 6}, 7, 8, 9};
  job.attempt = 2;
  job.fits = {PromptFit{1600, 1504}, PromptFit{7, 6}};

  job.prompts_shortened = true;  // a list's
  job.sequence = 12;
  job.sigma = 0.5;
  job.deadline_unix_ms = 13;
  job.picture = std::string(64, 'f');
  job.picture_bytes = 14;

  v1::Job message = ToProto(job);
  EXPECT_FALSE(message.has_left_ms()) << "it is not painted";
  message.set_left_ms(0);
  EXPECT_FALSE(message.has_decoding()) << "it is not decoded";
  message.mutable_decoding();
  EXPECT_FALSE(message.has_place() || message.has_until_done_ms()) << "the queue's to say";
  EXPECT_EQ(ToProto(job, {.place = QueuePlace{.jobs_ahead = 3}, .until_done_ms = 4}).place().jobs_ahead(), 3);
  EXPECT_EQ(ToProto(job, {.place = {}, .until_done_ms = 4}).until_done_ms(), 4);
  message.mutable_place();
  message.set_until_done_ms(0);
  EXPECT_EQ(FieldsSetIn(message), AllFieldsOf(message));
  EXPECT_EQ(FieldsSetIn(message.timings()), AllFieldsOf(message.timings()));
  EXPECT_EQ(message.id(), "id");
  EXPECT_EQ(message.state(), v1::JOB_STATE_FAILED);
  EXPECT_TRUE(MessageDifferencer::Equals(message.spec(), spec));
  EXPECT_EQ(message.step(), 3);
  EXPECT_EQ(message.error(), "out of memory");
  EXPECT_EQ(message.error_code(), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(message.detail(), "waiting");
  EXPECT_EQ(message.accepted_unix_ms(), 5);
  EXPECT_EQ(message.finished_unix_ms(), 6);
  EXPECT_EQ(message.attempt(), 2);
  EXPECT_EQ(message.prompt_fit().token_count(), 1600);
  EXPECT_EQ(message.prompt_fit().rows(), 1504);
  EXPECT_EQ(message.negative_fit().token_count(), 7);
  EXPECT_EQ(message.negative_fit().rows(), 6);
  const v1::JobTimings& timings = message.timings();
  EXPECT_EQ(timings.queue_ms(), 1);
  EXPECT_EQ(timings.encode_ms(), 2);
  EXPECT_EQ(timings.transfer_ms(), 3);
  EXPECT_EQ(timings.refine_ms(), 4);
  EXPECT_EQ(std::vector<double>(timings.step_ms().begin(), timings.step_ms().end()), (std::vector<double>{5, 6}));
  EXPECT_EQ(timings.decode_ms(), 7);
  EXPECT_EQ(timings.png_ms(), 8);
  EXPECT_EQ(timings.total_ms(), 9);
}

TEST(JobMessages, SaysHowLongTheStepsThatAreLeftTake) {
  Job job;
  job.spec.steps = 9;
  job.state = JobState::kRendering;
  EXPECT_FALSE(ToProto(job).has_left_ms()) << "nothing was measured";
  job.step = 7;  // five of them in an earlier attempt
  job.timings.step_ms = {500, 1500};
  EXPECT_EQ(ToProto(job).left_ms(), 2000);
  job.state = JobState::kDecoding;
  EXPECT_FALSE(ToProto(job).has_left_ms());
}

TEST(JobMessages, UnknownNumbersAreRefusedWithTheirField) {
  EXPECT_EQ(StateAskedFor(v1::JOB_STATE_UNSPECIFIED).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*StateAskedFor(v1::JOB_STATE_READY), JobState::kReady);
  EXPECT_EQ(StateAskedFor(static_cast<v1::JobState>(9)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(JobMessages, TemplateNamesAreRefusedUntilThereAreTemplates) {
  v1::JobSpec spec;
  spec.mutable_negative()->set_template_name("portrait");
  const absl::Status status = FromProto(spec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("negative: template_name"), std::string::npos) << status;
}

}  // namespace
}  // namespace diptych
