// Where fingerprints are remembered.
#pragma once

#include <string>

namespace diptych {

// What --fingerprint-cache says for "nowhere".
inline constexpr char kNoFingerprintCache[] = "none";

// The folder for what --fingerprint-cache says; empty: nowhere. Where it says nothing:
// $XDG_CACHE_HOME/diptych/fingerprints, without that variable $CACHE_DIRECTORY/fingerprints (a systemd unit with
// CacheDirectory=), else
// ~/.cache/diptych/fingerprints where there is a home folder.
std::string FingerprintFolder(const std::string& wish);

}  // namespace diptych
