// Stand-ins for everything around a job runner: the encoder, the renderer, the disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "render_node/conditioning/conditioning_source.h"
#include "render_node/jobs/job_store.h"
#include "render_node/pipeline/picture_renderer.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {

// Conditioning filled with the first letter of the prompt; '0' for the empty one.
inline uint8_t FillOf(const PromptParts& prompt) {
  return prompt.user.empty() ? '0' : static_cast<uint8_t>(prompt.user[0]);
}

class FakeSource final : public ConditioningSource {
 public:
  FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                    const std::function<void(const std::string&)>& on_waiting) override {
    {
      const std::lock_guard lock(mutex);
      requests.push_back(request);
    }
    if (on_fetch) on_fetch(request, cancel, on_waiting);
    FetchResult result{ConditioningOf(FillOf(request.prompt)), 20, 3};
    if (!model_fingerprint.empty()) result.conditioning.header.model_fingerprint = model_fingerprint;
    return result;
  }

  bool Has(const FetchRequest& request) const override { return has && has(request); }

  std::function<void(const FetchRequest&, const CancelToken&, const std::function<void(const std::string&)>&)> on_fetch;
  std::function<bool(const FetchRequest&)> has;
  std::string model_fingerprint;  // of what it gives; empty: that of ConditioningOf. Set it in on_fetch.
  std::mutex mutex;
  std::vector<FetchRequest> requests;
};

// One pixel: what the conditioning was filled with, positive and negative, and the steps; of a source the source.
class OnePixelRenderer final : public PictureRenderer {
 public:
  OnePixelRenderer() {
    facts_.row_limit = 1504;
    facts_.default_shift = 3;
  }
  const RendererFacts& facts() const override { return facts_; }
  void ThrowIfChanged() override {
    if (weights_changed) throw Error(ErrorCode::kUnavailable, "w.safetensors: was changed while in use");
  }

  Picture Render(const RenderRequest& request) override {
    const auto& [positive, negative, parameters, source, mask, hooks, cancel] = request;
    sources.push_back(source == nullptr ? 0 : source->width);
    const int32_t steps = evaluations.value_or(parameters.steps);
    const int32_t resumed = hooks.resume == nullptr ? 0 : hooks.resume->step;
    hooks.on_progress({RenderStage::kRefined, resumed, steps, 1, 5, "sigmas 1 0"});
    for (int32_t step = resumed + 1; step <= steps; ++step) {
      cancel.ThrowIfCancelled();
      if (on_step) on_step(step, positive.bytes[0]);
      if (hooks.on_latent) hooks.on_latent({step, 1, 1, 1, {0.5F}});
      if (hooks.on_preview && hooks.preview_every > 0 && step % hooks.preview_every == 0 &&
          (!hooks.wants_preview || hooks.wants_preview())) {
        hooks.on_preview({1, 1, {0, 0, 0}}, step);
      }
      hooks.on_progress({RenderStage::kStep, step, steps, 0, 10.0 * step});
    }
    for (int32_t tile = 1; tile <= tiles; ++tile) {
      hooks.on_progress({.stage = RenderStage::kTile, .step = steps, .tile = tile, .tiles = tiles});
      if (on_tile) on_tile(tile);
    }
    hooks.on_progress({RenderStage::kDecoded, steps, steps, 0, 7});
    if (on_decoded) on_decoded();
    if (source != nullptr) return *source;
    return {1,
            1,
            {positive.bytes[0], negative == nullptr ? uint8_t{'-'} : negative->bytes[0],
             static_cast<uint8_t>('0' + parameters.steps)}};
  }

  // One after another.
  void RenderTogether(const std::vector<RenderRequest>& members, const BatchEvents& events) override {
    std::string& batch = batches.emplace_back();
    for (const RenderRequest& member : members) batch += static_cast<char>(member.positive.bytes[0]);
    if (on_together) on_together(batch, events);
    PictureRenderer::RenderTogether(members, events);
  }

  std::vector<std::string> batches;  // what was painted together; read when the workers have stopped
  std::vector<int32_t> sources;      // the widths of what pictures began as, 0 for noise; read likewise
  std::function<void(const std::string& batch, const BatchEvents& events)> on_together;
  std::function<void(int32_t step, uint8_t fill)> on_step;
  std::function<void(int32_t tile)> on_tile;
  std::function<void()> on_decoded;
  int32_t tiles = 0;                   // that it says it decodes in
  std::optional<int32_t> evaluations;  // in place of the steps: what a source leaves of them
  std::atomic<bool> weights_changed = false;

 private:
  RendererFacts facts_;
};

// Fails as a full disk does while `full` is set.
class FillableStore final : public JobStore {
 public:
  explicit FillableStore(JobStore& store) : store_(store) {}
  AcceptedJob Accept(const JobSpec& spec, const JobRows& rows, int64_t now, const std::string& host = "") override {
    return store_.Accept(spec, rows, now, host);
  }
  std::optional<std::string> FindAccepted(const JobSpec& spec, const JobRows& rows) override {
    return store_.FindAccepted(spec, rows);
  }
  std::optional<Job> Get(const std::string& id) override {
    if (unreadable) throw Error(ErrorCode::kUnavailable, "database is locked");
    return store_.Get(id);
  }
  std::vector<Job> List(const JobFilter& filter) override { return store_.List(filter); }
  std::vector<QueuedJob> Queued() override { return store_.Queued(); }
  std::optional<Job> Claim(const std::string& id, const LeaseOwner& owner, int64_t now, int64_t lease_ms) override {
    if (full) throw Error(ErrorCode::kResourceExhausted, "database or disk is full");
    if (unreadable) throw Error(ErrorCode::kUnavailable, "database is locked");
    return store_.Claim(id, owner, now, lease_ms);
  }
  int64_t Renew(const LeaseOwner& owner, int64_t now, int64_t lease_ms) override {
    return store_.Renew(owner, now, lease_ms);
  }
  std::vector<Job> TakeOver(const LeaseOwner& owner, int64_t now, int64_t lease_ms) override {
    return store_.TakeOver(owner, now, lease_ms);
  }
  JobRows Transition(const JobLease& lease, JobState from, JobState to, const JobProgress& progress) override {
    if (full) throw Error(ErrorCode::kResourceExhausted, "database or disk is full");
    return store_.Transition(lease, from, to, progress);
  }
  void SaveProgress(const JobLease& lease, JobState state, const JobProgress& progress) override {
    if (on_save) on_save();
    store_.SaveProgress(lease, state, progress);
  }
  std::vector<EndedJob> Ended() override { return store_.Ended(); }
  bool Delete(const std::string& id) override { return store_.Delete(id); }
  std::vector<std::string> Unreferenced(const std::vector<std::string>& names) override {
    std::vector<std::string> unreferenced = store_.Unreferenced(names);
    if (on_unreferenced) on_unreferenced();
    return unreferenced;
  }
  JobRows Rows(const std::string& id) override {
    if (locked) throw Error(ErrorCode::kUnavailable, "database is locked");
    return store_.Rows(id);
  }
  std::optional<QueuePause> LoadPause() override { return store_.LoadPause(); }
  void SavePause(const std::optional<QueuePause>& pause) override { store_.SavePause(pause); }
  void Sync() override {
    if (on_sync) on_sync();
    store_.Sync();
  }
  JobChanges& changes() override { return store_.changes(); }

  std::atomic<bool> full = false;
  std::atomic<bool> locked = false;       // for Rows
  std::atomic<bool> unreadable = false;   // for Get and Claim
  std::function<void()> on_save;          // before progress is saved, on the thread that saves
  std::function<void()> on_sync;          // on the thread that waits
  std::function<void()> on_unreferenced;  // between the answer and what is done with it

 private:
  JobStore& store_;
};

}  // namespace diptych
