#include "common/concurrency/cancellable_sleep.h"

#include <condition_variable>
#include <mutex>

namespace diptych {

bool SleepUnlessCancelled(std::chrono::steady_clock::duration duration, const CancelToken& cancel) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, cancel.stop_token(), duration, [] { return false; });
  return !cancel.IsCancelled();
}

}  // namespace diptych
