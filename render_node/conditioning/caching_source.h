// Conditioning from the store where it is there, else from the encoders, and then into the store.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "common/log/log.h"
#include "render_node/conditioning/conditioning_key.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/conditioning/conditioning_store.h"

namespace diptych {

struct CachingSourceParts {
  ConditioningSource& encoders;
  // What the encoders would answer with now; EncoderPool::identity. Nothing: none has answered yet, and what the store
  // remembers counts.
  std::function<std::optional<EncoderIdentity>()> identity;
  ConditioningStore& store;
  // What the operator asks for; empty: any. A stored identity of another model does not count then.
  std::string expected_model_fingerprint = {};
  int64_t expected_width = 0;  // cap_feat_dim of the DiT; 0: any. The store may be older than the DiT
  std::optional<Logger> log;
};

// Thread-safe. All parts must outlive it.
class CachingSource final : public ConditioningSource {
 public:
  explicit CachingSource(CachingSourceParts parts) : parts_(std::move(parts)) {}

  // Of several calls at one time that want the same, one asks the encoders and the others wait for it; when it fails or
  // is cancelled, the next asks. Throws what the encoders' Fetch throws.
  FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                    const std::function<void(const std::string& reason)>& on_waiting) override;

  // Whether Fetch would need no encoder. Reads no file; formats and hashes the prompt.
  bool Has(const FetchRequest& request) const override;

 private:
  // One call that is under way, for those who want the same.
  struct SharedFetch {
    bool ended = false;
    std::string waiting_for;                       // what the encoders last said
    std::shared_ptr<const Conditioning> obtained;  // null: it failed
  };
  class Lead;

  std::optional<EncoderIdentity> Identity() const;
  std::optional<std::string> KeyOf(const FetchRequest& request, const EncoderIdentity& identity) const;
  std::shared_ptr<SharedFetch> Join(const std::string& fetch_key, bool* leads);
  std::shared_ptr<const Conditioning> Await(SharedFetch& fetch, const CancelToken& cancel,
                                            const std::function<void(const std::string& reason)>& on_waiting);
  FetchResult FindOrFetch(const FetchRequest& request, const CancelToken& cancel,
                          const std::function<void(const std::string& reason)>& on_waiting);

  const CachingSourceParts parts_;
  std::mutex mutex_;                     // guards the fetches and what is in them
  std::condition_variable_any changed_;  // a fetch
  std::map<std::string, std::shared_ptr<SharedFetch>> fetches_;
};

}  // namespace diptych
