// Private daemons with clients that are connected to them.
#pragma once

#include <memory>

#include "coordinator/cli/environment.h"
#include "coordinator/client/encoder_client.h"
#include "coordinator/client/render_client.h"
#include "coordinator/private_nodes.h"

namespace diptych {

class PrivateRun {
 public:
  // Returns when the daemons serve. With both, their widths are compared. `verbose`: their logs go to environment.err
  // at the end. Throws Error like PrivateNodes, and kFailedPrecondition when the encoder's width is not what the
  // transformer takes.
  PrivateRun(PrivateNodesPlan plan, bool verbose, Environment& environment);
  ~PrivateRun();

  const RenderClient& renderer() const { return *renderer_; }  // of a plan with a renderer
  const EncoderClient& encoder() const { return *encoder_; }   // of a plan with an encoder

  void ThrowIfOneEnded() { nodes_->ThrowIfOneEnded(); }
  bool OneEnded() { return nodes_->OneEnded(); }

 private:
  Environment& environment_;
  const bool verbose_;
  std::unique_ptr<PrivateNodes> nodes_;
  std::unique_ptr<RenderClient> renderer_;
  std::unique_ptr<EncoderClient> encoder_;
};

}  // namespace diptych
