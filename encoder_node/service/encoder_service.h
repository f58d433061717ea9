// diptych.v1.Encoder: validates, lets the encoder compute, streams the rows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/log/log.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "encoder_node/engine/prompt_encoder.h"
#include "encoder_node/service/turn_queue.h"

namespace diptych {

// How a call of Encode ended.
struct EncodeReport {
  absl::StatusCode code = absl::StatusCode::kOk;
  int64_t refused_bytes = 0;  // of a request that is not valid
  int64_t tokens = 0;         // of what was encoded
  double waited_ms = 0;       // for other prompts, before its work and in the middle
  double encode_ms = 0;       // formatting and encoding; 0: it did not come to its end
};

struct EncoderServiceOptions {
  std::string program_version;
  int64_t prompt_byte_limit = 1'048'576;  // all parts together
  bool log_prompts = false;
  std::function<void(const EncodeReport&)> ended = {};  // may be empty; thread-safe, must not throw
};

// Thread-safe. Keeps nothing of a call after answering it.
class EncoderService final : public v1::Encoder::Service {
 public:
  EncoderService(EncoderServiceOptions options, const Logger& log) : options_(std::move(options)), log_(log) {}

  // Until this is called every RPC answers UNAVAILABLE.
  void SetEncoder(std::shared_ptr<PromptEncoder> encoder);

  // From now on new calls answer UNAVAILABLE; calls under way go on.
  void BeginStop();

  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeEncoderRequest* request,
                        v1::DescribeEncoderResponse* response) override;
  grpc::Status Encode(grpc::ServerContext* context, const v1::EncodeRequest* request,
                      grpc::ServerWriter<v1::EncodeResponse>* writer) override;

 private:
  // UNAVAILABLE while there is none, or while its files are not what was loaded.
  absl::StatusOr<std::shared_ptr<PromptEncoder>> Encoder();
  // May throw.
  absl::Status EncodeAndSend(grpc::ServerContext* context, const v1::EncodeRequest& request,
                             grpc::ServerWriter<v1::EncodeResponse>* writer, const Logger& log, EncodeReport* report);

  const EncoderServiceOptions options_;
  const Logger log_;
  TurnQueue turns_;
  std::mutex mutex_;  // guards the two below
  std::shared_ptr<PromptEncoder> encoder_;
  bool stopping_ = false;
};

}  // namespace diptych
