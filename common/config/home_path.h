// Paths as users write them: "~/models".
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace diptych {

// The home folder of this user: $HOME, else what the user database says. Throws Error(kInvalidArgument) when neither
// names a folder by its whole path.
std::filesystem::path HomeFolder();

// The path with "~" or "~/" at its beginning as the home folder and "~user" as that user's, which a shell does only
// where it sees them: not in a file, and not behind "--output=". Any other path as it stands. Throws
// Error(kInvalidArgument) when there is no such folder or user, for "$HOME/x", which nobody expands either, and for
// "file:///x", naming the path that is meant.
std::string ExpandHome(std::string_view path);

}  // namespace diptych
