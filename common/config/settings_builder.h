// Fills Settings; inside this component and its test support only.
#pragma once

#include <string>
#include <utility>

#include "common/config/settings.h"

namespace diptych {

class SettingsBuilder {
 public:
  SettingsBuilder();  // every row of the table with its default

  void Set(const OptionInfo& info, const OptionValue& value, Origin origin);
  void Warn(std::string line) { settings_.warnings_.push_back(std::move(line)); }
  // For values that are looked up on the way.
  const Settings& settings() const { return settings_; }
  Settings Take() { return std::move(settings_); }

 private:
  Settings settings_;
};

}  // namespace diptych
