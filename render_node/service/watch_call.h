// One call of Watch: follows a job, and then sends its picture.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "common/net/byte_room.h"
#include "common/net/held_call.h"
#include "diptych/v1/render.grpc.pb.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/picture_store.h"

namespace diptych {

// At most so often a waiting job's watchers learn its place.
inline constexpr std::chrono::milliseconds kPlaceInterval{1000};

// What all watchers share.
struct WatchRoom {
  HeldCalls& watchers;
  ByteRoom& unread;  // what has been written to watchers and not taken by them, beyond a little for each
  std::chrono::milliseconds write_within;  // a watcher that takes nothing for so long is let go
  const std::atomic<uint64_t>& moves;      // grows when places in the queue may have changed; then all are woken
};

// Its events are those that render.proto promises. Made by std::make_shared, begun by Begin.
class WatchCall final : public HeldCall, public grpc::ServerWriteReactor<v1::WatchResponse> {
 public:
  // `ended` hears how it went, and says how the client does.
  WatchCall(const WatchRoom& room, JobQueue& queue, const PictureStore& pictures, grpc::CallbackServerContext* context,
            const v1::WatchRequest& request, std::function<grpc::Status(const absl::Status&)> ended);

  void Begin();

 private:
  enum class Stage { kOpening, kFollowing, kPicture };
  enum class Owed { kNothing, kLatest, kStored };

  void Work() override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { Cancel(); }
  void OnDone() override { Leave(); }

  // Until something is written, the call has ended, or there is nothing to do now.
  void GoOn();
  // False when there was nothing new.
  bool Follow();
  // `from`: where it can be had again. When there is no room for it now it is owed.
  void WriteJob(Job job, Owed from);
  void WriteNextPiece();
  void Write(v1::WatchResponse response);
  bool HasRoom(int64_t bytes);
  void End(const absl::Status& status);

  const WatchRoom room_;
  JobQueue& queue_;
  const PictureStore& pictures_;
  grpc::CallbackServerContext* const context_;
  const v1::WatchRequest request_;
  const std::function<grpc::Status(const absl::Status&)> ended_with_;

  Stage stage_ = Stage::kOpening;
  std::unique_ptr<JobWatch> watch_;
  bool ends_ = false;  // the state that was written last is a terminal one
  std::string picture_name_;
  v1::Job told_;                // without its specification
  Owed owed_ = Owed::kNothing;  // a state that waits for room
  uint64_t looked_ = 0;         // at this number of moves
  Clock::time_point next_look_;
  std::unique_ptr<PictureFile> picture_;
  int64_t sent_ = 0;
  v1::WatchResponse response_;
  ByteShare unread_;
  std::atomic<bool> writing_ = false, failed_ = false;
  Clock::time_point wrote_;
};

}  // namespace diptych
