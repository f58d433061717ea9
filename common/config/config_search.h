// Which configuration file is read.
#pragma once

#include <string>
#include <vector>

namespace diptych {

// What --config says for "no file at all".
inline constexpr char kNoConfig[] = "none";

// Where a file is looked for when nobody names one, the first that is there counts:
// $XDG_CONFIG_HOME/diptych/diptych.toml (without that variable ~/.config/diptych/diptych.toml), then
// /etc/diptych/diptych.toml.
std::vector<std::string> ConfigPlaces();

// The first of these places that holds something; empty: none does. One of the system's that this user may not read
// counts as not there.
std::string FindConfig(const std::vector<std::string>& places);

}  // namespace diptych
