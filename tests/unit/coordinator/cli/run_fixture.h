// The program from its arguments to its exit status, against a renderer in this process.
#pragma once

#include <stdlib.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/run.h"
#include "gtest/gtest.h"
#include "tests/support/plain_environment.h"
#include "tests/unit/coordinator/support/fake_renderer.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {

class RunTest : public ::testing::Test {
 protected:
  RunTest() { MakeEnvironmentPlain(); }
  int Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    Environment environment{.out = out_,
                            .err = err_,
                            .err_columns = err_columns_,
                            .interrupt = interrupt_,
                            .program_folder = folder_.path,
                            .in = input_,
                            .out_columns = out_columns_};
    return RunDiptych(arguments, environment);
  }
  // With the renderer's address and small numbers.
  int RunWithRenderer(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--render", renderer_.address});
    return Run(arguments);
  }
  static std::vector<std::string> Generate(const std::string& output) {
    return {"generate", "a cat", "--width", "16", "--height", "32", "--steps", "2", "--output", output};
  }
  // What the last command printed with --json, a value a line.
  std::vector<nlohmann::json> Lines() const {
    std::vector<nlohmann::json> lines;
    std::istringstream text(out_.str());
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  void ExpectUsage(const std::vector<std::string>& arguments, const std::string& part) {
    EXPECT_EQ(Run(arguments), kExitUsage);
    ExpectOneLineWith(part);
  }
  void ExpectOneLineWith(const std::string& part) {
    const std::string err = err_.str();
    EXPECT_EQ(err.rfind("diptych: error: ", 0), 0u) << err;
    EXPECT_EQ(err.find('\n'), err.size() - 1) << err;
    EXPECT_NE(err.find(part), std::string::npos) << err;
  }

  TestFolder folder_;
  FakeRendererService renderer_;
  Interrupt interrupt_;
  int input_ = -1;
  std::function<size_t()> out_columns_;  // set: standard output is a terminal
  std::function<size_t()> err_columns_;  // set: standard error is a terminal
  std::ostringstream out_, err_;
};

}  // namespace diptych
