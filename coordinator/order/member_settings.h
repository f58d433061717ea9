// The members of a picture that options set.
#pragma once

#include <set>
#include <string_view>

#include "common/config/settings.h"
#include "common/picture/picture_spec.h"

namespace diptych {

// The names of some members.
using MemberNames = std::set<std::string_view>;

// What the settings say of a picture.
struct MemberSettings {
  PictureSpec values;   // of the members below; what is left open has its default
  MemberNames options;  // that an option sets
  MemberNames open;     // among them: nobody says anything, neither by flag nor in the configuration
  MemberNames given;    // among them: by flag
};
MemberSettings ReadMembers(const Settings& settings);

// Sets these members to what `from` has.
void PutMembers(const PictureSpec& from, const MemberNames& names, PictureSpec& to);

}  // namespace diptych
