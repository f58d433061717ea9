// The daemons of one run: started for it, ended with it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "coordinator/interrupt.h"
#include "coordinator/run_folder.h"

namespace diptych {

class ChildProcess;

// Which daemons a run needs, and with which flags.
struct PrivateNodesPlan {
  std::filesystem::path program_folder;  // where diptych-encoderd and diptych-renderd lie
  bool encoder = true;
  bool renderer = true;
  std::vector<std::string> encoder_arguments;   // --model-path and what else its flags are; not --listen
  std::vector<std::string> renderer_arguments;  // the same; not --listen, --encoder, --state-dir
  std::ostream* log_of_failure = nullptr;       // gets the daemons' logs when they cannot be started
};

enum class NodeRole { kEncoder, kRenderer };

// A daemon cannot do what its arguments say; the message is its own last line.
struct ArgumentsRefused : Error {
  using Error::Error;
};

// Both daemons listen on loopback ports of their own choosing; state and logs lie in a temporary folder.
class PrivateNodes {
 public:
  // Answers whether a daemon has its model loaded. Called again and again.
  using IsServing = std::function<bool(NodeRole role, const std::string& address)>;

  // Returns when every daemon of the plan serves. Throws Error: kUnavailable (a daemon could not be started or ended
  // before it served; the message is its own last line), kCancelled (interrupted); ArgumentsRefused. All that was
  // started is then ended. A second interrupt ends the daemons at once and removes their folder.
  PrivateNodes(const PrivateNodesPlan& plan, const IsServing& is_serving, Interrupt& interrupt);
  ~PrivateNodes();  // ends the daemons, removes the folder
  PrivateNodes(const PrivateNodes&) = delete;
  PrivateNodes& operator=(const PrivateNodes&) = delete;

  const std::string& encoder_address() const { return encoder_.address; }  // "127.0.0.1:PORT", empty without encoder
  const std::string& renderer_address() const { return renderer_.address; }

  // Throws Error(kUnavailable) with its last line when a daemon has ended by itself.
  void ThrowIfOneEnded();
  bool OneEnded();

  // What their logs say at level warning, without time and level.
  std::vector<std::string> Warnings() const;

  // What the daemons wrote to their standard error.
  void PrintLogs(std::ostream& out) const;

 private:
  struct Node {
    NodeRole role;
    std::string name;
    std::string address;
    std::unique_ptr<ChildProcess> process;
    std::unique_ptr<Interrupt::LastReaction> last_reaction;  // kills it
  };

  void StartAll(const PrivateNodesPlan& plan, const IsServing& is_serving, Interrupt& interrupt);
  void Start(Node& node, std::vector<std::string> arguments, const std::filesystem::path& program_folder,
             Interrupt& interrupt);
  void AwaitAddress(Node& node, const Interrupt& interrupt);
  void AwaitService(Node& node, const IsServing& is_serving, const Interrupt& interrupt);
  std::vector<Node*> Started();

  RunFolder folder_;
  const Interrupt::LastReaction
      last_reaction_;  // removes it; older than those that end its users, so it runs after them
  Node encoder_{NodeRole::kEncoder, "diptych-encoderd", "", nullptr, nullptr};
  Node renderer_{NodeRole::kRenderer, "diptych-renderd", "", nullptr, nullptr};
};

// The folder of the running program.
std::filesystem::path ProgramFolder();

}  // namespace diptych
