#include "coordinator/private_nodes.h"

#include <signal.h>
#include <string.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "coordinator/child_process.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr milliseconds kTick(50);         // how late an interrupt is seen
constexpr milliseconds kServicePoll(10);  // between two questions whether the model is loaded
constexpr milliseconds kAddressPatience(30000);
constexpr milliseconds kGrace(5000);
constexpr int kWrongUsage = 2;  // exit status of a daemon that cannot do what its arguments say

std::string ParseListeningLine(const std::string& line) {
  const auto json = JsonOrDiscarded(line);
  if (!json.is_object() || !json.contains("listening") || !json["listening"].is_string()) return "";
  return json["listening"].get<std::string>();
}

// "diptych-renderd: no such file" -> "no such file"
std::string WithoutName(const std::string& line, const std::string& name) {
  return line.rfind(name + ": ", 0) == 0 ? line.substr(name.size() + 2) : line;
}

}  // namespace

PrivateNodes::PrivateNodes(const PrivateNodesPlan& plan, const IsServing& is_serving, Interrupt& interrupt)
    : last_reaction_(interrupt, [this] { folder_.Remove(); }) {
  try {
    StartAll(plan, is_serving, interrupt);
  } catch (const Error&) {
    if (plan.log_of_failure != nullptr) PrintLogs(*plan.log_of_failure);
    throw;
  }
}

void PrivateNodes::StartAll(const PrivateNodesPlan& plan, const IsServing& is_serving, Interrupt& interrupt) {
  if (plan.encoder) {
    Start(encoder_, plan.encoder_arguments, plan.program_folder, interrupt);
    AwaitAddress(encoder_, interrupt);
  }
  if (plan.renderer) {
    std::vector<std::string> arguments = plan.renderer_arguments;
    arguments.insert(arguments.end(), {"--state-dir", (folder_.path() / "state").string()});
    // Nobody would start that encoder again: a job that waited for it without end would never tell why.
    arguments.insert(arguments.end(), {"--encoder-patience", "15"});
    if (plan.encoder) arguments.insert(arguments.end(), {"--encoder", encoder_.address});
    Start(renderer_, std::move(arguments), plan.program_folder, interrupt);
    AwaitAddress(renderer_, interrupt);
  }
  for (Node* node : Started()) AwaitService(*node, is_serving, interrupt);  // both load at the same time
}

PrivateNodes::~PrivateNodes() {
  if (renderer_.process) renderer_.process->Stop(kGrace);
  if (encoder_.process) encoder_.process->Stop(kGrace);
}

void PrivateNodes::Start(Node& node, std::vector<std::string> arguments, const fs::path& program_folder,
                         Interrupt& interrupt) {
  const fs::path program = program_folder / node.name;
  if (!fs::exists(program)) {
    throw Error(ErrorCode::kUnavailable, program.string() + " is missing; it belongs beside the program diptych");
  }
  arguments.insert(arguments.begin(), program.string());
  // Whatever the configuration file says: its addresses and certificates are those of the daemons that serve everybody.
  arguments.insert(arguments.end(), {"--listen", "127.0.0.1:0", "--metrics-listen", "", "--tls-cert", "", "--tls-key",
                                     "", "--tls-ca", ""});
  node.process = std::make_unique<ChildProcess>(arguments, folder_.path() / (node.name + ".log"));
  node.last_reaction =
      std::make_unique<Interrupt::LastReaction>(interrupt, [child = node.process.get()] { child->Kill(); });
}

void PrivateNodes::AwaitAddress(Node& node, const Interrupt& interrupt) {
  const auto deadline = std::chrono::steady_clock::now() + kAddressPatience;
  while (node.address.empty()) {
    interrupt.ThrowIfRequested();
    const bool running = node.process->IsRunning();  // asked before reading: what a dead child wrote is still read
    if (const std::optional<std::string> line = node.process->ReadLine(kTick)) {
      node.address = ParseListeningLine(*line);
    } else if (!running) {
      ThrowIfOneEnded();
    }
    if (std::chrono::steady_clock::now() > deadline) {
      throw Error(ErrorCode::kUnavailable, node.name + " did not say within 30 s where it listens");
    }
  }
}

void PrivateNodes::AwaitService(Node& node, const IsServing& is_serving, const Interrupt& interrupt) {
  while (!is_serving(node.role, node.address)) {  // a large model may take minutes; the user can interrupt
    interrupt.ThrowIfRequested();
    ThrowIfOneEnded();
    std::this_thread::sleep_for(kServicePoll);
  }
}

std::vector<PrivateNodes::Node*> PrivateNodes::Started() {
  std::vector<Node*> nodes;
  for (Node* node : {&encoder_, &renderer_}) {
    if (node->process) nodes.push_back(node);
  }
  return nodes;
}

void PrivateNodes::ThrowIfOneEnded() {
  for (Node* node : Started()) {
    if (node->process->IsRunning()) continue;
    if (const int signal = node->process->ending_signal(); signal != 0) {
      throw Error(ErrorCode::kUnavailable,
                  node->name + " was ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")" +
                      (signal == SIGKILL ? "; the system does that when memory runs out" : ""));
    }
    const std::string last = WithoutName(node->process->LastLogLine(), node->name);
    const std::string why = node->name + ": " + (last.empty() ? "ended without saying why" : last);
    if (node->process->exit_status() == kWrongUsage) throw ArgumentsRefused(ErrorCode::kInvalidArgument, why);
    throw Error(ErrorCode::kUnavailable, why);
  }
}

bool PrivateNodes::OneEnded() {
  const std::vector<Node*> nodes = Started();
  return std::any_of(nodes.begin(), nodes.end(), [](const Node* node) { return !node->process->IsRunning(); });
}

std::vector<std::string> PrivateNodes::Warnings() const {
  constexpr std::string_view kMark = " warning ";
  std::vector<std::string> warnings;
  for (const Node* node : {&encoder_, &renderer_}) {
    if (!node->process) continue;
    std::ifstream log(node->process->log_file());
    for (std::string line; std::getline(log, line);) {
      const size_t time = line.find(' ');  // "2026-12-01T10:04:46.123+00:00 warning TEXT"
      if (time != line.npos && line.compare(time, kMark.size(), kMark) == 0) {
        warnings.push_back(line.substr(time + kMark.size()));
      }
    }
  }
  return warnings;
}

void PrivateNodes::PrintLogs(std::ostream& out) const {
  for (const Node* node : {&encoder_, &renderer_}) {
    if (!node->process) continue;
    std::ifstream log(node->process->log_file());
    for (std::string line; std::getline(log, line);) out << node->name << ": " << line << '\n';
  }
  out.flush();
}

fs::path ProgramFolder() { return fs::canonical("/proc/self/exe").parent_path(); }

}  // namespace diptych
