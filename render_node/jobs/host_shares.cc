#include "render_node/jobs/host_shares.h"

namespace diptych {

HostShares::Share HostShares::Of(const std::string& host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? Share() : found->second;
}

void HostShares::Reserve(const std::string& host, int64_t bytes) {
  if (host.empty()) return;
  Share& share = hosts_[host];
  ++share.jobs;
  share.bytes += bytes;
}

void HostShares::Release(const std::string& host, int64_t bytes) {
  const auto found = hosts_.find(host);
  if (found == hosts_.end()) return;
  found->second.bytes -= bytes;
  if (--found->second.jobs == 0) hosts_.erase(found);
}

void HostShares::Add(const std::string& id, const std::string& host, int64_t bytes) {
  if (host.empty() || !jobs_.try_emplace(id, Entry{host, bytes}).second) return;
  Reserve(host, bytes);
}

std::string HostShares::HostOf(const std::string& id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? "" : found->second.host;
}

void HostShares::Remove(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Release(found->second.host, found->second.bytes);
  jobs_.erase(found);
}

}  // namespace diptych
