#include "render_node/service/watch_call.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/error/status.h"
#include "render_node/service/job_messages.h"
#include "render_node/service/picture_chunks.h"
#include "render_node/service/service_status.h"

namespace diptych {
namespace {

constexpr std::chrono::milliseconds kRoomInterval(100);
constexpr int64_t kFreeBytes = 16 << 10;  // that every watcher may leave unread

// What a watcher shall learn though the job itself has not moved. Estimates run down by themselves.
bool IsNews(const v1::Job& told, const v1::Job& now) {
  const v1::QueuePlace &a = told.place(), &b = now.place();
  const bool same = told.has_place() == now.has_place() && a.jobs_ahead() == b.jobs_ahead() &&
                    a.others_ahead() == b.others_ahead() && a.held_up() == b.held_up() &&
                    a.has_pause() == b.has_pause() && a.has_wait_ms() == b.has_wait_ms();
  return !same || (now.state() == v1::JOB_STATE_DECODING && now.has_until_done_ms());
}

// About what its message takes.
int64_t TextBytesOf(const Job& job) {
  const auto bytes = [](const std::optional<PromptParts>& prompt) {
    return prompt ? prompt->user.size() + prompt->system.size() + prompt->thinking.size() + prompt->assistant.size() +
                        prompt->conversation_json.size()
                  : size_t{0};
  };
  return static_cast<int64_t>(bytes(job.spec.prompt) + bytes(job.spec.negative)) + 4096;
}

}  // namespace

WatchCall::WatchCall(const WatchRoom& room, JobQueue& queue, const PictureStore& pictures,
                     grpc::CallbackServerContext* context, const v1::WatchRequest& request,
                     std::function<grpc::Status(const absl::Status&)> ended)
    : HeldCall(room.watchers, *context),
      room_(room),
      queue_(queue),
      pictures_(pictures),
      context_(context),
      request_(request),
      ended_with_(std::move(ended)),
      unread_(room.unread) {}

void WatchCall::Begin() {
  // At once, for a watcher to whom there is nothing to say yet.
  context_->AddInitialMetadata("watching", "1");
  StartSendInitialMetadata();
  Wake();
}

void WatchCall::OnWriteDone(bool ok) {
  if (!ok) failed_ = true;
  writing_ = false;
  Wake();
}

void WatchCall::Work() {
  try {
    if (failed_ || cancelled() || context_->IsCancelled()) return End(ClientHasLeft());
    if (writing_) {
      const Clock::time_point last = wrote_ + room_.write_within;
      if (Clock::now() < last) return WakeAt(last);
      context_->TryCancel();
      return End(absl::DeadlineExceededError("the watcher takes nothing of what it is sent"));
    }
    response_ = v1::WatchResponse();  // its memory, too
    unread_.Release();
    GoOn();
  } catch (...) {
    End(StatusOfCurrentException());
  }
}

void WatchCall::GoOn() {
  if (stage_ == Stage::kOpening) {
    const auto wake = [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Wake();
    };
    absl::StatusOr<std::unique_ptr<JobWatch>> watch = queue_.Watch(
        request_.id(), {.after_sequence = request_.after_sequence(), .previews = request_.previews(), .news = wake});
    if (!watch.ok()) return End(watch.status());
    watch_ = *std::move(watch);
    stage_ = Stage::kFollowing;
  }
  if (stage_ == Stage::kFollowing) {
    if (owed_ != Owed::kNothing) {
      const absl::StatusOr<Job> job = owed_ == Owed::kLatest ? watch_->Latest() : queue_.Get(request_.id());
      if (!job.ok()) return End(job.status());
      return WriteJob(*job, owed_);
    }
    if (!ends_ && !Follow()) return;
    if (!ends_ || writing_) return;
    watch_.reset();
    stage_ = Stage::kPicture;
  }
  if (told_.state() != v1::JOB_STATE_DONE || !request_.picture()) return End(absl::OkStatus());
  WriteNextPiece();
}

bool WatchCall::Follow() {
  Job job;
  switch (watch_->Next(std::chrono::milliseconds(0), &job)) {
    case JobWatch::Outcome::kNothingNew: {  // while it waits, others come and go
      if (told_.id().empty()) return false;
      const uint64_t moves = room_.moves;
      const Clock::time_point now = Clock::now();
      const bool runs_down = told_.state() == v1::JOB_STATE_DECODING;  // what is left of it
      if (moves != looked_ || (runs_down && now >= next_look_)) {
        looked_ = moves;
        next_look_ = now + kPlaceInterval;
        job = watch_->Latest();
        Job small = job;
        small.spec = JobSpec();
        v1::Job message = ToProto(small, queue_.OutlookOf(job));
        if (IsNews(told_, message)) {
          WriteJob(job, Owed::kLatest);
          return true;
        }
      }
      if (runs_down) WakeAt(next_look_);
      return false;
    }
    case JobWatch::Outcome::kJob:
      WriteJob(job, Owed::kLatest);
      return true;
    case JobWatch::Outcome::kPreview: {
      const JobPreview& preview = watch_->preview();
      if (!HasRoom(static_cast<int64_t>(preview.jpeg.size()))) return false;  // the next one will do
      v1::WatchResponse response;
      response.mutable_preview()->set_step(preview.step);
      response.mutable_preview()->set_sequence(preview.sequence);
      response.mutable_preview()->set_jpeg(preview.jpeg.data(), preview.jpeg.size());
      Write(std::move(response));
      return true;
    }
    case JobWatch::Outcome::kEnded: {
      // Without a terminal state: the daemon stops, or the job failed in a way that only the store knows.
      if (queue_.stopping()) {
        End(IsStopping());
        return false;
      }
      absl::StatusOr<Job> stored = queue_.Get(request_.id());
      if (!stored.ok()) {
        End(stored.status());
        return false;
      }
      job = *std::move(stored);
      if (job.sequence == request_.after_sequence()) {  // it has been seen
        ends_ = true;
        told_.set_state(ToProto(job.state));
        picture_name_ = job.picture;
        return true;
      }
    }
  }
  WriteJob(job, Owed::kStored);
  return true;
}

void WatchCall::WriteJob(Job job, Owed from) {
  if (!told_.id().empty()) job.prompts_shortened = ShortenPrompts(job.spec) || job.prompts_shortened;
  owed_ = HasRoom(TextBytesOf(job)) ? Owed::kNothing : from;
  if (owed_ != Owed::kNothing) return;
  looked_ = room_.moves;
  v1::WatchResponse response;
  *response.mutable_job() = ToProto(job, queue_.OutlookOf(job));
  Job small = job;
  small.spec = JobSpec();
  told_ = ToProto(small, queue_.OutlookOf(job));
  // What only the store knows is the end, whatever it says.
  ends_ = IsTerminal(job.state) || from == Owed::kStored;
  picture_name_ = job.picture;
  next_look_ = Clock::now() + kPlaceInterval;
  Write(std::move(response));
}

void WatchCall::WriteNextPiece() {
  if (!picture_) {
    picture_ = pictures_.Open(picture_name_);
    if (const absl::Status whole = CheckWholePng(*picture_); !whole.ok()) return End(whole);
  }
  if (sent_ == picture_->size()) return End(absl::OkStatus());
  if (!HasRoom(kPictureChunkBytes)) return;
  v1::WatchResponse response;
  *response.mutable_picture() = PictureChunkAt(*picture_, sent_);
  sent_ += static_cast<int64_t>(response.picture().data().size());
  Write(std::move(response));
}

// False: it looks again soon.
bool WatchCall::HasRoom(int64_t bytes) {
  if (bytes <= kFreeBytes || unread_.GrowTo(2 * bytes)) return true;  // here, and packed in gRPC
  WakeAt(Clock::now() + kRoomInterval);
  return false;
}

void WatchCall::Write(v1::WatchResponse response) {
  response_ = std::move(response);
  writing_ = true;
  wrote_ = Clock::now();
  WakeAt(wrote_ + room_.write_within);
  StartWrite(&response_);
}

void WatchCall::End(const absl::Status& status) {
  MarkEnded();
  watch_.reset();
  picture_.reset();
  if (!writing_) unread_.Release();
  Finish(ended_with_(status));
}

}  // namespace diptych
