#include "common/http/places.h"

#include <map>
#include <tuple>

namespace diptych {

Admission AdmitAmong(const std::vector<Place*>& places, const std::string& host, int64_t in_all, int64_t per_host) {
  std::map<std::string, int64_t> of_hosts;
  for (const Place* place : places) ++of_hosts[place->host];
  const int64_t own = of_hosts[host];
  const bool host_has_all = own >= per_host;
  if (!host_has_all && static_cast<int64_t>(places.size()) < in_all) return {.admitted = true};

  const auto may_go = [&](const Place& place) {
    if (place.phase == Place::Phase::kWorking) return false;
    if (host_has_all) return place.host == host && place.phase != Place::Phase::kTransfer;
    return of_hosts[place.host] >= own + (place.phase == Place::Phase::kTransfer ? 2 : 0);
  };
  const auto order = [&](const Place& place) {
    return std::make_tuple(-of_hosts[place.host], place.phase, place.since);
  };
  Place* first = nullptr;
  for (Place* place : places) {
    if (may_go(*place) && (first == nullptr || order(*place) < order(*first))) first = place;
  }
  return {.admitted = first != nullptr, .gives_way = first};
}

}  // namespace diptych
