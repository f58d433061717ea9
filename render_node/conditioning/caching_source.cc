#include "render_node/conditioning/caching_source.h"

#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

FetchResult FromStore(Conditioning conditioning) {
  FetchResult result;
  result.conditioning = std::move(conditioning);
  result.from_store = true;
  return result;
}

}  // namespace

// Ends the fetch, whatever happens to the call that leads it.
class CachingSource::Lead {
 public:
  Lead(CachingSource& owner, std::string fetch_key, std::shared_ptr<SharedFetch> fetch)
      : owner_(owner), fetch_key_(std::move(fetch_key)), fetch_(std::move(fetch)) {}
  ~Lead() {
    {
      const std::lock_guard<std::mutex> lock(owner_.mutex_);
      fetch_->ended = true;
      owner_.fetches_.erase(fetch_key_);
    }
    owner_.changed_.notify_all();
  }
  Lead(const Lead&) = delete;
  Lead& operator=(const Lead&) = delete;

  void Obtained(const Conditioning& conditioning) {
    auto copy = std::make_shared<const Conditioning>(conditioning);
    const std::lock_guard<std::mutex> lock(owner_.mutex_);
    fetch_->obtained = std::move(copy);
  }
  void WaitsFor(const std::string& reason) {
    {
      const std::lock_guard<std::mutex> lock(owner_.mutex_);
      fetch_->waiting_for = reason;
    }
    owner_.changed_.notify_all();
  }

 private:
  CachingSource& owner_;
  const std::string fetch_key_;
  const std::shared_ptr<SharedFetch> fetch_;
};

FetchResult CachingSource::Fetch(const FetchRequest& request, const CancelToken& cancel,
                                 const std::function<void(const std::string& reason)>& on_waiting) {
  const std::optional<std::string> fetch_key = KeyOf(request, EncoderIdentity());  // of the request alone
  // A prompt without a text is the encoder's to refuse.
  if (!fetch_key) return parts_.encoders.Fetch(request, cancel, on_waiting);
  for (;;) {
    cancel.ThrowIfCancelled();
    bool leads = false;
    const std::shared_ptr<SharedFetch> fetch = Join(*fetch_key, &leads);
    if (!leads) {
      if (const auto obtained = Await(*fetch, cancel, on_waiting)) return FromStore(*obtained);
      continue;
    }
    Lead lead(*this, *fetch_key, fetch);
    FetchResult result = FindOrFetch(request, cancel, [&](const std::string& reason) {
      lead.WaitsFor(reason);
      if (on_waiting) on_waiting(reason);
    });
    lead.Obtained(result.conditioning);
    return result;
  }
}

FetchResult CachingSource::FindOrFetch(const FetchRequest& request, const CancelToken& cancel,
                                       const std::function<void(const std::string& reason)>& on_waiting) {
  if (const std::optional<EncoderIdentity> identity = Identity()) {
    const std::string key = ConditioningKey(request, *identity);
    bool damaged = false;
    std::optional<Conditioning> found = parts_.store.Find(key, &damaged);
    if (damaged && parts_.log) {
      parts_.log->ForJob(request.job_id)
          .Warn("stored conditioning " + key + " is damaged; the prompt is encoded again");
    }
    if (found && (parts_.expected_width == 0 || found->header.width == parts_.expected_width)) {
      if (parts_.log) parts_.log->ForJob(request.job_id).Debug("conditioning from the store, " + key);
      return FromStore(*std::move(found));
    }
  }
  FetchResult result = parts_.encoders.Fetch(request, cancel, on_waiting);
  const ConditioningHeader& header = result.conditioning.header;
  const std::optional<EncoderIdentity> earlier = parts_.store.identity();
  if (parts_.log && earlier && earlier->model_fingerprint != header.model_fingerprint) {
    parts_.log->Warn("the encoder's model is " + header.model_fingerprint.substr(0, 12) + " now; until here it was " +
                     earlier->model_fingerprint.substr(0, 12) + " (--encoder-fingerprint keeps to one)");
  }
  // Of what was asked for and the model that answered, which may be another than before: whatever the rows say of
  // themselves, they are kept for this prompt alone.
  const std::string key = ConditioningKey(request, IdentityOf(header));
  if (key != ConditioningKey(header, request.row_limit)) {
    throw Error(ErrorCode::kDataLoss, "the encoder's rows say that they are of something else than was asked for");
  }
  parts_.store.SetIdentity(IdentityOf(header));
  parts_.store.Put(key, result.conditioning);
  if (parts_.log) parts_.log->ForJob(request.job_id).Debug("conditioning into the store, " + key);
  return result;
}

bool CachingSource::Has(const FetchRequest& request) const {
  const std::optional<EncoderIdentity> identity = Identity();
  if (!identity) return false;
  const std::optional<std::string> key = KeyOf(request, *identity);
  return key && parts_.store.Has(*key);
}

std::optional<EncoderIdentity> CachingSource::Identity() const {
  std::optional<EncoderIdentity> identity = parts_.identity();
  if (!identity) identity = parts_.store.identity();
  const std::string& expected = parts_.expected_model_fingerprint;
  return identity && (expected.empty() || identity->model_fingerprint == expected) ? identity : std::nullopt;
}

// Nothing for a prompt that cannot be formatted.
std::optional<std::string> CachingSource::KeyOf(const FetchRequest& request, const EncoderIdentity& identity) const {
  try {
    return ConditioningKey(request, identity);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// The fetch of that key; `leads`: it is new, and the caller's to make.
std::shared_ptr<CachingSource::SharedFetch> CachingSource::Join(const std::string& fetch_key, bool* leads) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<SharedFetch>& fetch = fetches_[fetch_key];
  *leads = fetch == nullptr;
  if (*leads) fetch = std::make_shared<SharedFetch>();
  return fetch;
}

// What the fetch brings; null when it failed.
std::shared_ptr<const Conditioning> CachingSource::Await(
    SharedFetch& fetch, const CancelToken& cancel, const std::function<void(const std::string& reason)>& on_waiting) {
  std::string told;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!fetch.ended) {
    cancel.ThrowIfCancelled();
    if (on_waiting && fetch.waiting_for != told) {
      told = fetch.waiting_for;
      lock.unlock();
      on_waiting(told);
      lock.lock();
      continue;
    }
    changed_.wait(lock, cancel.stop_token(), [&] { return fetch.ended || (on_waiting && fetch.waiting_for != told); });
  }
  return fetch.obtained;
}

}  // namespace diptych
