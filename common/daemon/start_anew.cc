#include "common/daemon/start_anew.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "absl/strings/cord.h"

namespace diptych {
namespace {

constexpr char kWish[] = "diptych/start-anew";

std::vector<std::string> OwnArguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

}  // namespace

absl::Status StartAnewStatus(const std::string& why, const Address& asked, const Address& bound) {
  absl::Status status = absl::UnavailableError(why);
  status.SetPayload(kWish, absl::Cord(asked.port == 0 ? bound.ToString() : ""));
  return status;
}

std::vector<std::string> ArgumentsToStartAnew(const absl::Status& wish, std::vector<std::string> arguments) {
  const absl::optional<absl::Cord> payload = wish.GetPayload(kWish);
  const std::string address = payload ? std::string(*payload) : "";
  if (address.empty()) return arguments;
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i].rfind("--listen=", 0) == 0) {
      arguments[i] = "--listen=" + address;
      return arguments;
    }
    if (arguments[i] == "--listen" && i + 1 < arguments.size()) {
      arguments[i + 1] = address;
      return arguments;
    }
  }
  arguments.insert(arguments.end(), {"--listen", address});
  return arguments;
}

void StartAnewIfWished(const absl::Status& wish) {
  if (!wish.GetPayload(kWish).has_value() || std::getenv("NOTIFY_SOCKET") != nullptr) return;
  std::vector<std::string> arguments = ArgumentsToStartAnew(wish, OwnArguments());
  if (arguments.empty()) return;
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv("/proc/self/exe", pointers.data());
}

}  // namespace diptych
