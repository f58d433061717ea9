// diptych.v1.Encoder: validates, lets the encoder compute, streams the rows.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/log/log.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "encoder_node/engine/prompt_encoder.h"
#include "encoder_node/engine/turn_queue.h"
#include "encoder_node/service/encode_reply.h"

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
  LineLimits line = {};
  std::function<void(const EncodeReport&)> ended = {};  // may be empty; thread-safe, must not throw
};

// Thread-safe. Keeps nothing of a call after answering it. A call that waits or works has a thread of its own, and
// there are as many as the line takes; one that is refused has none. The server that it is registered with must be shut
// down before it is destroyed.
class EncoderService final : public v1::Encoder::WithCallbackMethod_Encode<v1::Encoder::Service> {
 public:
  EncoderService(EncoderServiceOptions options, const Logger& log)
      : options_(std::move(options)), log_(log), turns_(options_.line) {}
  ~EncoderService() override;

  // Until this is called every RPC answers UNAVAILABLE.
  void SetEncoder(std::shared_ptr<PromptEncoder> encoder);

  // From now on new calls answer UNAVAILABLE; calls under way go on.
  void BeginStop();

  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeEncoderRequest* request,
                        v1::DescribeEncoderResponse* response) override;
  grpc::ServerWriteReactor<v1::EncodeResponse>* Encode(grpc::CallbackServerContext* context,
                                                       const v1::EncodeRequest* request) override;

 private:
  struct Call;
  class Sending;

  // UNAVAILABLE while there is none, or while its files are not what was loaded.
  absl::StatusOr<std::shared_ptr<PromptEncoder>> Encoder();
  // On a thread of its own, to the end of the call.
  void Work(Call& call);
  // May throw.
  absl::Status EncodeAndSend(Call& call, const Logger& log, EncodeReport* report);
  void LogFullLine(const std::string& peer, const absl::Status& status);

  const EncoderServiceOptions options_;
  const Logger log_;
  TurnQueue turns_;
  std::mutex mutex_;  // guards all below
  std::condition_variable worker_ended_;
  std::shared_ptr<PromptEncoder> encoder_;
  bool stopping_ = false;
  size_t workers_ = 0;
  std::map<std::string, size_t> sending_;  // by peer, answers that are on their way
  size_t sending_in_all_ = 0;
  int64_t refused_ = 0;  // for a full line, since that was last logged
  std::chrono::steady_clock::time_point refusal_logged_{};
};

}  // namespace diptych
