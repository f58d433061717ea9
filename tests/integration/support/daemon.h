// diptych-encoderd and diptych-renderd on a loopback port of their own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/integration/support/process.h"

namespace diptych::integration {

std::string ToyPath(const std::string& name);  // a toy checkpoint: "toy_a", "toy_b"
std::string DemoModelPath();                   // the shipped model

class Daemon {
 public:
  // Starts it and waits until its model is loaded. Throws std::runtime_error with its log when it ends before that.
  Daemon(const std::string& program, std::vector<std::string> arguments, const std::string& listen = "127.0.0.1:0",
         const Process::Environment& environment = {});

  const std::string& address() const { return address_; }  // HOST:PORT
  std::string Log() const { return process_.Err(); }
  bool IsRunning() { return process_.IsRunning(); }

  int Stop();   // SIGTERM; the exit status
  void Kill();  // SIGKILL
  void Signal(int number) { process_.Signal(number); }
  int pid() const { return process_.pid(); }

 private:
  Process process_;
  std::string address_;
};

Daemon StartEncoder(const std::string& model_path, const std::vector<std::string>& more = {},
                    const std::string& listen = "127.0.0.1:0");
// `encoder` may be empty: a renderer for uploaded conditioning.
Daemon StartRenderer(const std::string& model_path, const std::string& encoder, const std::filesystem::path& state,
                     const std::vector<std::string>& more = {});

std::string FreeAddress();  // a loopback address on which nobody listens

// Runs a daemon that is expected to refuse its start.
Outcome RunDaemon(const std::string& program, std::vector<std::string> arguments,
                  const Process::Environment& environment = {});

}  // namespace diptych::integration
