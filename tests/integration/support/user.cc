#include "tests/integration/support/user.h"

#include <sstream>
#include <stdexcept>

namespace diptych::integration {

using nlohmann::json;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

json User::Json(const Arguments& arguments) const {
  const Outcome outcome = Run(arguments + Arguments{"--json"});
  if (outcome.status != 0) throw std::runtime_error(arguments[0] + " failed: " + outcome.err);
  const json result = json::parse(outcome.out, nullptr, false);
  if (result.is_discarded()) throw std::runtime_error(arguments[0] + " printed no JSON: " + outcome.out);
  return result;
}

std::vector<json> ParseLines(const std::string& text) {
  std::vector<json> values;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) values.push_back(json::parse(line));
  return values;
}

std::vector<json> User::JsonLines(const Arguments& arguments) const {
  const Outcome outcome = Run(arguments + Arguments{"--json"});
  if (outcome.status != 0) throw std::runtime_error(arguments[0] + " failed: " + outcome.err);
  return ParseLines(outcome.out);
}

std::string User::Submit(const Arguments& flags, const std::string& prompt) const {
  return Json(Arguments{"submit", prompt} + flags)["id"];
}

json User::Job(const std::string& id) const {
  for (const json& job : Json({"jobs"})) {
    if (job["id"] == id) return job;
  }
  return nullptr;
}

std::string User::Fetch(const std::string& id) const {
  Json({"watch", id});
  Json({"fetch", id, "--output", scratch_ / "fetched.png"});
  return ReadFile(scratch_ / "fetched.png");
}

}  // namespace diptych::integration
