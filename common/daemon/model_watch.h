// Looks at the files of the loaded model now and then, and ends the daemon when they are not its model any more.
#pragma once

#include <chrono>
#include <functional>

#include "common/concurrency/alarm.h"
#include "common/daemon/daemon_stop.h"
#include "common/log/log.h"
#include "common/source_files/model_news.h"

namespace diptych {

struct ModelWatchParts {
  std::function<ModelNews()> look;
  std::function<void(bool)> set_serving;  // what health says
  DaemonStop& stop;
  const Logger& log;
  std::chrono::milliseconds interval{1000};
};

// On a thread of its own while it lives; all parts must outlive it. What there is to say goes to the log. While the
// model cannot be used, health says so; when it never will be again the daemon is asked to end, and to start anew with
// the files that are there now (start_anew.h).
class ModelWatch {
 public:
  explicit ModelWatch(ModelWatchParts parts);

 private:
  bool Look();

  const ModelWatchParts parts_;
  bool serving_ = true;
  Alarm alarm_;  // last: its thread uses the others
};

}  // namespace diptych
