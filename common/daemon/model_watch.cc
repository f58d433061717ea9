#include "common/daemon/model_watch.h"

#include <exception>
#include <string>
#include <utility>

namespace diptych {

ModelWatch::ModelWatch(ModelWatchParts parts)
    : parts_(std::move(parts)), alarm_([this] {
        if (!Look()) alarm_.RingAt(std::chrono::steady_clock::now() + parts_.interval);
      }) {
  alarm_.RingAt(std::chrono::steady_clock::now());
}

// True: the model is gone, and there is nothing more to look at.
bool ModelWatch::Look() {
  ModelNews news;
  try {
    news = parts_.look();
  } catch (const std::exception& error) {
    parts_.log.Warn(std::string("the files of the model cannot be looked at: ") + error.what());
    return false;
  }
  for (const std::string& line : news.lines) parts_.log.Warn(line);
  if (news.refused.empty() != serving_) {
    serving_ = news.refused.empty();
    parts_.set_serving(serving_);
  }
  if (news.over) {
    const std::string why = news.refused + "; starts anew with what is there now";
    parts_.log.Error(why);
    parts_.stop.Fail(why);
  }
  return news.over;
}

}  // namespace diptych
