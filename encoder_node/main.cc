// diptych-encoderd: wiring only.
#include "common/daemon/daemon_main.h"
#include "encoder_node/engine/text_encoder.h"
#include "encoder_node/service/encoder_daemon.h"

int main(int argc, char** argv) {
  using namespace diptych;
  return DaemonMain<EncoderDaemonConfig>(
      {kEncoderd, "diptych-encoderd", "Turns prompts into the hidden states that the renderer paints from."}, argc,
      argv, [](const auto& config, const Logger& log) { return RunEncoderDaemon(config, log, LoadTextEncoder); });
}
