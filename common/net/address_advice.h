// What somebody probably meant who wrote an address in another form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace diptych {

// For a text with more or less than HOST:PORT has: what is too much or missing, and what to write, `leave "http://"
// out: write 127.0.0.1:7872`. nullopt: the text has the right shape, or none that is known. Whether host and port are
// legal is not looked at.
std::optional<std::string> AddressAdvice(std::string_view text);

}  // namespace diptych
