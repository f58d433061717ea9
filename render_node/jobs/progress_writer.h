// Progress on its way to a job store: whoever reports it, the painter above all, never waits for the store.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "render_node/jobs/job_store.h"

namespace diptych {

// Writes on a thread of its own, of each job the newest alone: there are never more waiting than jobs. What comes late,
// because the store took its time, undoes nothing: the store ignores progress of a state or an attempt that the job has
// left (JobStore::SaveProgress). Thread-safe.
class ProgressWriter {
 public:
  // The store must outlive it.
  explicit ProgressWriter(JobStore& store);
  // Writes what waits.
  ~ProgressWriter();
  ProgressWriter(const ProgressWriter&) = delete;
  ProgressWriter& operator=(const ProgressWriter&) = delete;

  // Replaces what waits for this job. Progress that cannot be written is missed: a store that fails now fails the next
  // transition too, and that one is reported.
  void Save(const JobLease& lease, JobState state, JobProgress progress);

  // What waits for this job is out of date: it is about to move on. Does not wait for what is being written.
  void Forget(const std::string& id);

  // Waits until all that was saved before is written.
  void Flush();

 private:
  struct Report {
    JobLease lease;
    JobState state = JobState::kQueued;
    JobProgress progress;
  };

  void Work();

  JobStore& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Report> waiting_;
  std::deque<std::string> turns_;  // of the jobs that wait, each once
  bool writing_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace diptych
