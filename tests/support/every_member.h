// A picture in which no member has its default: for tests that walk the table.
#pragma once

#include <type_traits>

#include "common/picture/picture_spec.h"

namespace diptych {

template <typename Member>
auto AnotherValue(const Member& member) {
  using T = typename Member::Value;
  if constexpr (std::is_same_v<T, PromptParts>) {
    return PromptParts{.user = std::string(member.name), .system = "draw", .force_think_block = true};
  } else if constexpr (std::is_enum_v<T>) {
    return ChoicesOf(T{}).back();
  } else if constexpr (std::is_same_v<T, InputHash>) {
    return InputHash{std::string(64, member.name.front() == 'm' ? 'a' : 'b')};
  } else if constexpr (std::is_same_v<T, bool>) {
    return true;
  } else if constexpr (std::is_same_v<T, double>) {
    return member.least + (member.most - member.least) / 3;
  } else {
    return static_cast<T>(member.least + (member.most - member.least) / 3 + 1);
  }
}

inline PictureSpec EveryMemberSet() {
  PictureSpec spec;
  ForEachMember([&](const auto& member) { spec.*member.field = AnotherValue(member); });
  return spec;
}

}  // namespace diptych
