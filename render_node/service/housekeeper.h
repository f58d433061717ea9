// What a render daemon does from time to time: fails jobs whose deadline has passed, renews leases, forgets what is
// kept no longer.
#pragma once

#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "common/concurrency/clock.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/job_store.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/jobs/retention.h"

namespace diptych {

// All must outlive it.
struct HousekeeperParts {
  JobQueue& queue;
  JobStore& store;
  PictureStore& pictures;
  ConditioningFiles& conditioning;
  InputStore& inputs;
  const Clock& clock;
  RetentionRules retention;
  std::function<void(const Swept&)> swept;          // when something was removed
  std::function<void(const absl::Status&)> failed;  // it is tried again
  std::function<void(int64_t)> picture_bytes = {};  // of all files, after each sweep; empty: nobody looks
};

// Works on a thread of its own until the queue stops.
class Housekeeper {
 public:
  explicit Housekeeper(HousekeeperParts parts);
  ~Housekeeper();  // the queue must be stopping
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

 private:
  void Work();

  const HousekeeperParts parts_;
  std::thread thread_;
};

}  // namespace diptych
