// nodes: who is there, with which models.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

ordered_json ToJson(const std::string& address, const RendererDescription& renderer) {
  ordered_json encoders = ordered_json::array();
  for (const EncoderReport& encoder : renderer.encoders) {
    encoders.push_back({{"address", encoder.address},
                        {"reachable", encoder.reachable},
                        {"error", encoder.error},
                        {"model_fingerprint", encoder.model_fingerprint},
                        {"width", encoder.width}});
  }
  return {{"renderer",
           {{"address", address},
            {"program_version", renderer.program_version},
            {"transformer_fingerprint", renderer.transformer_fingerprint},
            {"vae_fingerprint", renderer.vae_fingerprint},
            {"cap_feat_dim", renderer.cap_feat_dim},
            {"row_limit", renderer.row_limit},
            {"size_multiple", renderer.size_multiple},
            {"max_side", renderer.max_side},
            {"default_shift", renderer.default_shift},
            {"dtype", renderer.dtype},
            {"device", renderer.device},
            {"threads", renderer.threads},
            {"queued", renderer.queued},
            {"running", renderer.running}}},
          {"encoders", encoders}};
}

std::string ToText(const std::string& address, const RendererDescription& renderer) {
  std::string text = absl::StrCat("renderer ", address, "  version ", renderer.program_version, ", ", renderer.device,
                                  ", ", renderer.dtype, ", ", renderer.threads, " threads\n");
  absl::StrAppend(&text, "  queue        ", renderer.queued, " waiting, ", renderer.running, " at work\n");
  absl::StrAppend(&text, "  transformer  ", renderer.transformer_fingerprint.substr(0, 16), ", takes ",
                  renderer.row_limit, " rows of ", renderer.cap_feat_dim, " values, shift ", renderer.default_shift,
                  "\n");
  absl::StrAppend(&text, "  vae          ", renderer.vae_fingerprint.substr(0, 16), ", up to ", renderer.max_side,
                  " px a side\n");
  if (renderer.encoders.empty()) absl::StrAppend(&text, "no encoders: only uploaded embeddings can be painted\n");
  for (const EncoderReport& encoder : renderer.encoders) {
    absl::StrAppend(&text, "encoder ", encoder.address, "  ");
    if (encoder.reachable) {
      absl::StrAppend(&text, encoder.model_fingerprint.substr(0, 16), ", rows of ", encoder.width, " values\n");
    } else {
      absl::StrAppend(&text, "not reachable: ", encoder.error, "\n");
    }
  }
  return text;
}

class Nodes final : public RendererCommand {
 public:
  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    const RendererDescription renderer = ValueOrThrow(client->Describe());
    if (json_) {
      environment.out << JsonLine(ToJson(client->address(), renderer)) << std::flush;
    } else {
      environment.out << ToText(client->address(), renderer) << std::flush;
    }
    return kExitDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakeNodes() { return std::make_unique<Nodes>(); }

}  // namespace diptych
