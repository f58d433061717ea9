// What each host has in the queue. A client's name is its own choice, its address is not: a thousand names of one host
// share what one host may have.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

namespace diptych {

// Not thread-safe. Jobs of which no host is known, as of stores of earlier versions, are nobody's.
class HostShares {
 public:
  struct Share {
    int64_t jobs = 0;   // unfinished
    int64_t bytes = 0;  // of their prompts and uploads
  };

  Share Of(const std::string& host) const;

  // For a job that is on its way to the store, until Release.
  void Reserve(const std::string& host, int64_t bytes);
  void Release(const std::string& host, int64_t bytes);

  // From now on until Remove; a job that is counted already is not counted again.
  void Add(const std::string& id, const std::string& host, int64_t bytes);
  // Of a job that is counted; empty for others.
  std::string HostOf(const std::string& id) const;
  // It has ended. Nothing happens when it is not counted.
  void Remove(const std::string& id);

 private:
  struct Entry {
    std::string host;
    int64_t bytes = 0;
  };

  std::map<std::string, Share> hosts_;  // of those that have any
  std::unordered_map<std::string, Entry> jobs_;
};

}  // namespace diptych
