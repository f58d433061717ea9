#include "coordinator/cli/private_run.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "coordinator/cli/command.h"

namespace diptych {
namespace {

constexpr std::chrono::milliseconds kTimeout(30000);

// A daemon answers Describe with UNAVAILABLE until its model is loaded. One that fails then cuts the call off in the
// middle, which reads CANCELLED or UNKNOWN: its end is seen soon after, with the reason.
bool HasLoaded(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
      return false;
    default:
      return true;
  }
}

// Of the daemons' warnings those about the model: they name its files, as they were given to the daemons.
std::vector<std::string> AboutTheModel(std::vector<std::string> warnings, const PrivateNodesPlan& plan) {
  std::erase_if(warnings, [&](const std::string& line) {
    const auto names = [&](const std::string& argument) { return argument.size() > 1 && line.starts_with(argument); };
    return std::none_of(plan.encoder_arguments.begin(), plan.encoder_arguments.end(), names) &&
           std::none_of(plan.renderer_arguments.begin(), plan.renderer_arguments.end(), names);
  });
  return warnings;
}

}  // namespace

PrivateRun::PrivateRun(PrivateNodesPlan plan, bool verbose, Environment& environment)
    : environment_(environment), verbose_(verbose) {
  if (verbose_) plan.log_of_failure = &environment.err;
  environment.err << "starting " << (plan.encoder ? "encoder" : "") << (plan.encoder && plan.renderer ? " and " : "")
                  << (plan.renderer ? "renderer" : "") << std::endl;
  const auto is_serving = [this](NodeRole role, const std::string& address) {
    if (role == NodeRole::kEncoder) {
      if (!encoder_) encoder_ = ValueOrThrow(EncoderClient::Make(address, Credentials{}, kTimeout));
      return HasLoaded(encoder_->Describe().status().code());
    }
    if (!renderer_) renderer_ = ValueOrThrow(RenderClient::Make(address, Credentials{}, kTimeout));
    return HasLoaded(renderer_->Describe().status().code());
  };
  try {
    nodes_ = std::make_unique<PrivateNodes>(plan, is_serving, environment.interrupt);
  } catch (const ArgumentsRefused& error) {  // they are those that the user gave us
    throw UsageError(error.what());
  }
  if (!verbose_) {  // else the whole logs are printed
    for (const std::string& line : AboutTheModel(nodes_->Warnings(), plan)) {
      environment.err << "diptych: warning: " << line << std::endl;
    }
  }
  if (plan.encoder && plan.renderer) {
    const int64_t width = ValueOrThrow(encoder_->Describe()).width;
    const int64_t wanted = ValueOrThrow(renderer_->Describe()).cap_feat_dim;
    if (width != wanted) {
      throw Error(ErrorCode::kFailedPrecondition, "the text encoder makes rows of " + std::to_string(width) +
                                                      " values, the transformer takes " + std::to_string(wanted) +
                                                      " (cap_feat_dim): they do not belong together");
    }
  }
}

PrivateRun::~PrivateRun() {
  if (verbose_) nodes_->PrintLogs(environment_.err);
}

}  // namespace diptych
