#include "tests/integration/support/daemon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace diptych::integration {
namespace {

std::vector<std::string> CommandLine(const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), ProgramPath(program));
  return arguments;
}

std::vector<std::string> Joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

std::string ToyPath(const std::string& name) { return DIPTYCH_SOURCE_DIR "/tests/parity/data/" + name; }

std::string DemoModelPath() { return DIPTYCH_SOURCE_DIR "/models/demo"; }

Daemon::Daemon(const std::string& program, std::vector<std::string> arguments, const std::string& listen,
               const Process::Environment& environment)
    : process_(CommandLine(program, Joined(std::move(arguments), {"--listen", listen})), environment) {
  const auto alive = [&] {
    if (!process_.IsRunning()) throw std::runtime_error(program + " ended:\n" + process_.Err());
    return true;
  };
  Await(program + " says where it listens", [&] { return process_.Out().find('\n') != std::string::npos || !alive(); });
  address_ = nlohmann::json::parse(process_.Out())["listening"];
  Await(program + " has loaded its model",
        [&] { return process_.Err().find("listening on " + address_) != std::string::npos || !alive(); });
}

int Daemon::Stop() {
  process_.Signal(SIGTERM);
  return process_.Wait();
}

void Daemon::Kill() {
  process_.Signal(SIGKILL);
  process_.Wait();
}

Daemon StartEncoder(const std::string& model_path, const std::vector<std::string>& more, const std::string& listen) {
  return Daemon("diptych-encoderd", Joined({"--model-path", model_path}, more), listen);
}

Daemon StartRenderer(const std::string& model_path, const std::string& encoder, const std::filesystem::path& state,
                     const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--model-path", model_path, "--state-dir", state.string()};
  if (!encoder.empty()) arguments.insert(arguments.end(), {"--encoder", encoder});
  return Daemon("diptych-renderd", Joined(std::move(arguments), more));
}

std::string FreeAddress() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

Outcome RunDaemon(const std::string& program, std::vector<std::string> arguments,
                  const Process::Environment& environment) {
  Process process(CommandLine(program, std::move(arguments)), environment);
  return Finish(process);
}

}  // namespace diptych::integration
