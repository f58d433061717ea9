// Somebody with the command line, at one renderer.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/integration/support/process.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {

Arguments operator+(Arguments a, const Arguments& b);

std::vector<nlohmann::json> ParseLines(const std::string& text);  // a JSON value a line

class User {
 public:
  explicit User(std::string address) : address_(std::move(address)) {}  // of the renderer, which need not be there yet

  const std::string& address() const { return address_; }
  std::string operator/(const std::string& name) const { return scratch_ / name; }  // a file of this user

  Arguments WithAddress(const Arguments& arguments) const { return arguments + Arguments{"--render", address_}; }
  Outcome Run(const Arguments& arguments) const { return Diptych(WithAddress(arguments)); }

  // What the command prints with --json. These throw std::runtime_error when a command fails.
  nlohmann::json Json(const Arguments& arguments) const;
  std::vector<nlohmann::json> JsonLines(const Arguments& arguments) const;                // of several, a line each
  std::string Submit(const Arguments& flags, const std::string& prompt = "A cat") const;  // the id
  nlohmann::json Job(const std::string& id) const;                                        // null when there is none
  std::string Fetch(const std::string& id) const;  // waits for the job's end; the PNG

 private:
  const std::string address_;
  const Scratch scratch_;
};

}  // namespace diptych::integration
