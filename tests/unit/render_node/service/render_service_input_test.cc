// Inputs over loopback: what clients upload once and jobs name by hash.
#include <string>

#include "common/digest/sha256.h"
#include "gtest/gtest.h"
#include "tests/unit/render_node/service/render_samples.h"
#include "tests/unit/render_node/service/renderer_in_test.h"

namespace diptych {
namespace {

class RenderServiceInputTest : public RendererInTest {
 protected:
  RenderServiceInputTest() { Open(); }

  // The pieces, each in a message of its own.
  grpc::Status Upload(const std::string& sha256, int64_t byte_count, const std::vector<std::string>& pieces) {
    grpc::ClientContext context;
    v1::UploadInputResponse response;
    const auto writer = stub_->UploadInput(&context, &response);
    v1::UploadInputRequest message;
    message.mutable_head()->set_sha256(sha256);
    message.mutable_head()->set_byte_count(byte_count);
    writer->Write(message);
    for (const std::string& piece : pieces) {
      message.set_data(piece);
      if (!writer->Write(message)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }
  std::vector<std::string> Missing(const std::vector<std::string>& hashes) {
    grpc::ClientContext context;
    v1::FindInputsRequest request;
    for (const std::string& hash : hashes) request.add_sha256(hash);
    v1::FindInputsResponse response;
    EXPECT_TRUE(stub_->FindInputs(&context, request, &response).ok());
    return {response.missing().begin(), response.missing().end()};
  }
};

TEST_F(RenderServiceInputTest, AnInputIsUploadedOnceAndFound) {
  const std::string hash = Sha256Hex("abcdef"), other = Sha256Hex("other");
  EXPECT_EQ(Missing({hash, other}), (std::vector{hash, other}));
  EXPECT_TRUE(Upload(hash, 6, {"abc", "def"}).ok());
  EXPECT_EQ(Missing({hash, other}), std::vector{other});
  EXPECT_TRUE(Upload(hash, 6, {"abcdef"}).ok()) << "in vain, and no harm";
}

TEST_F(RenderServiceInputTest, WhatIsNotAsSaidIsRefusedAndLeavesNothing) {
  const std::string hash = Sha256Hex("abc");
  EXPECT_EQ(Upload(hash, 3, {"abd"}).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Upload(hash, 3, {"ab"}).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Upload(hash, 3, {"abcd"}).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Upload("no hash", 3, {"abc"}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Upload(hash, int64_t{1} << 40, {"abc"}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Missing({hash}), std::vector{hash});
}

TEST_F(RenderServiceInputTest, TheHeadComesOnceAndFirst) {
  grpc::ClientContext context;
  v1::UploadInputResponse response;
  const auto writer = stub_->UploadInput(&context, &response);
  v1::UploadInputRequest message;
  message.set_data("abc");
  writer->Write(message);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "the first message of UploadInput must hold the head");
}

TEST_F(RenderServiceInputTest, AFullDiskTakesNoInput) {
  disk_is_full_ = true;
  EXPECT_EQ(Upload(Sha256Hex("abc"), 3, {"abc"}).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(RenderServiceInputTest, AJobMayNameOnlyWhatIsThere) {
  v1::JobSpec spec = SampleSpec();
  spec.set_source(Sha256Hex("never sent"));
  const auto refusal = [&] {
    v1::SubmitRequest request;
    *request.mutable_spec() = spec;
    v1::SubmitResponse response;
    return Submit({request}, &response);
  };
  const grpc::Status status = refusal();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("source: the renderer has no input " + spec.source()), std::string::npos)
      << status.error_message();
  spec.set_source("no hash");
  EXPECT_EQ(refusal().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace diptych
