// Which configuration file is read.
#pragma once

#include <string>
#include <vector>

namespace diptych {

// What --config says for "no file at all".
inline constexpr char kNoConfig[] = "none";

// Where a file is looked for when nobody names one, the first that is there counts:
// $XDG_CONFIG_HOME/diptych/diptych.toml (without that variable ~/.config/diptych/diptych.toml, unless the home folder
// is closed to this user), then /etc/diptych/diptych.toml.
std::vector<std::string> ConfigPlaces();

// The first of these places that holds something, also a link to nowhere or what cannot be looked at, of which reading
// it says so; empty: none does. One of the system's that this user may not read counts as not there.
std::string FindConfig(const std::vector<std::string>& places);

}  // namespace diptych
