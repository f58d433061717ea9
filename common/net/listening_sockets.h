// The sockets that a daemon listens on: one for each address of the name that it was given.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/address.h"

namespace diptych {

class ListeningSockets {
 public:
  // Listens at once, on the same port everywhere; port 0 is any that is free. [::] takes IPv4 too, 0.0.0.0 is IPv4
  // alone. An address of the name that is not this machine's is left out when another one is.
  //   UNAVAILABLE        the address is in use, or is not this machine's, or may not be used
  //   INVALID_ARGUMENT   the host's name is not known
  // The message says which, and that `flag` chooses another; `doing` is what cannot be done.
  static absl::StatusOr<ListeningSockets> Open(const Address& listen, std::string_view doing = "listen",
                                               std::string_view flag = "--listen");

  ListeningSockets(ListeningSockets&& other) noexcept;
  ListeningSockets& operator=(ListeningSockets&&) = delete;
  ~ListeningSockets();  // closes them

  // In digits, IPv4 first; in the order of descriptors().
  const std::vector<Address>& addresses() const { return addresses_; }
  const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  ListeningSockets() = default;

  std::vector<Address> addresses_;
  std::vector<int> descriptors_;
};

}  // namespace diptych
