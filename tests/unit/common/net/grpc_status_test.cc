#include "common/net/grpc_status.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(GrpcStatus, EveryCodeAndItsMessageSurviveBothWays) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status sent = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(sent.error_code()), code);
    EXPECT_EQ(sent.error_message(), "why");
    EXPECT_EQ(FromGrpcStatus(sent), status);
  }
}

TEST(GrpcStatus, CodesMeanTheSameOnBothSides) {
  EXPECT_EQ(ToGrpcStatus(absl::DataLossError("")).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(ToGrpcStatus(absl::UnavailableError("")).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ToGrpcStatus(absl::CancelledError("")).error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(ToGrpcStatus(absl::UnauthenticatedError("")).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST(GrpcStatus, ACodeWithoutTextGetsOne) {
  EXPECT_EQ(
      FromGrpcStatus({grpc::StatusCode::UNIMPLEMENTED, ""}),
      absl::UnimplementedError("whoever answers there does not offer this service: is it the right kind of daemon?"));
  EXPECT_EQ(FromGrpcStatus({grpc::StatusCode::UNAVAILABLE,
                            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:7871: Failed to "
                            "connect to remote host: Connection refused"}),
            absl::UnavailableError("no connection: Connection refused"));
  EXPECT_EQ(FromGrpcStatus({grpc::StatusCode::UNAVAILABLE,
                            "DNS resolution failed for box:7871: UNKNOWN: getaddrinfo: Name or service not known"}),
            absl::UnavailableError("box: no address found for this name (getent hosts box)"));
  EXPECT_EQ(FromGrpcStatus({grpc::StatusCode::UNAVAILABLE, "keepalive watchdog timeout"}),
            absl::UnavailableError("it has gone silent (keepalive watchdog timeout)"));
  EXPECT_EQ(FromGrpcStatus({grpc::StatusCode::INTERNAL, ""}), absl::InternalError("no reason given (INTERNAL)"));
}

// gRPC gives both the same code; asking again helps with one alone.
TEST(GrpcStatus, AMessageBeyondOurLimitIsNoBusyPeer) {
  const grpc::Status ours(grpc::StatusCode::RESOURCE_EXHAUSTED,
                          "Received message larger than max (30000000 vs. 4194304)");
  EXPECT_EQ(FromGrpcStatus(ours).code(), absl::StatusCode::kDataLoss);
  for (const char* text : {"Received message larger than max (30000000 vs. 16777216)", "the line is full", ""}) {
    EXPECT_EQ(FromGrpcStatus({grpc::StatusCode::RESOURCE_EXHAUSTED, text}).code(), absl::StatusCode::kResourceExhausted)
        << text;
  }
}

TEST(GrpcStatus, APauseIsWithinTheBoundsOfItsReader) {
  using std::chrono::milliseconds;
  const auto pause = [](const absl::Status& status) {
    return RetryAfter(status, milliseconds(50), milliseconds(5000));
  };
  EXPECT_EQ(pause(RetryAfterError("full", milliseconds(700))), milliseconds(700));
  EXPECT_EQ(pause(RetryAfterError("full", milliseconds(-1))), milliseconds(50));
  EXPECT_EQ(pause(RetryAfterError("full", milliseconds(INT64_MAX))), milliseconds(5000));
  EXPECT_EQ(pause(absl::ResourceExhaustedError("memory is short")), std::nullopt);
}

TEST(GrpcStatus, OkIsOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

}  // namespace
}  // namespace diptych
