#include "coordinator/order/member_settings.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <variant>

#include "common/config/options.h"

namespace diptych {
namespace {

const OptionInfo* OptionOf(std::string_view member) {
  const auto options = AllOptions();
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const auto* row) { return row->member == member; });
  return found == options.end() ? nullptr : *found;
}

// Sets `field` from the option's value; false where that is unset.
template <typename T, typename Field>
bool Assign(const OptionValue& value, Field& field) {
  return std::visit(
      [&](const auto& v) {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_enum_v<T> && std::is_same_v<V, std::string>) {
          for (const T choice : ChoicesOf(T{})) {
            if (ChoiceName(choice) == v) field = choice;
          }
          return true;
        } else if constexpr (std::is_same_v<V, std::optional<int64_t>> || std::is_same_v<V, std::optional<double>> ||
                             std::is_same_v<V, std::optional<uint64_t>>) {
          if constexpr (std::is_arithmetic_v<T>) {
            if (v) field = static_cast<T>(*v);
          }
          return v.has_value();
        } else if constexpr (std::is_arithmetic_v<V> && std::is_arithmetic_v<T>) {
          field = static_cast<T>(v);
          return true;
        } else {
          return false;  // the option's row and the member's are of different kinds: every_flag_test would tell
        }
      },
      value);
}

}  // namespace

MemberSettings ReadMembers(const Settings& settings) {
  MemberSettings result;
  ForEachMember([&](const auto& member) {
    const OptionInfo* option = OptionOf(member.name);
    if (option == nullptr) return;
    result.options.insert(member.name);
    using T = typename std::decay_t<decltype(member)>::Value;
    if (!Assign<T>(settings.ValueOf(*option), result.values.*member.field)) result.open.insert(member.name);
    if (settings.OriginOf(*option) == Origin::kFlag) result.given.insert(member.name);
  });
  return result;
}

void PutMembers(const PictureSpec& from, const MemberNames& names, PictureSpec& to) {
  ForEachMember([&](const auto& member) {
    if (names.contains(member.name)) to.*member.field = from.*member.field;
  });
}

}  // namespace diptych
