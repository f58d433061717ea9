// nodes: who is there, with which models.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/machine_text.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/wait_text.h"
#include "coordinator/client/job_json.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

ordered_json ToJson(const std::optional<ConditioningStoreReport>& store) {
  if (!store) return nullptr;
  return {{"memory_hits", store->memory_hits},
          {"disk_hits", store->disk_hits},
          {"misses", store->misses},
          {"damaged", store->damaged},
          {"disk_failures", store->disk_failures},
          {"last_failure", store->last_failure},
          {"memory_bytes", store->memory_bytes},
          {"disk_bytes", store->disk_bytes},
          {"entries", store->entries}};
}

ordered_json ToJson(const std::optional<StateFolderReport>& folder) {
  if (!folder) return nullptr;
  return {{"free_bytes", folder->free_bytes}, {"problem", folder->problem}};
}

ordered_json ToJson(const std::optional<MemoryRoom>& room) {
  return room ? ordered_json(room->bytes) : ordered_json(nullptr);
}

ordered_json ToJson(const std::optional<MachineReport>& machine, int32_t largest_side) {
  if (!machine) return nullptr;
  const MachineFacts& facts = machine->facts;
  return {{"weight_bytes", facts.weights_copied},
          {"mapped_bytes", facts.weights_mapped},
          {"work_bytes", facts.work},
          {"available_bytes", ToJson(machine->available)},
          {"total_bytes", ToJson(machine->total)},
          {"limited_by", machine->available ? machine->available->set_by : ""},
          {"largest_side", largest_side},
          {"libtorch", facts.libtorch},
          {"blas", facts.blas},
          {"gpu", facts.gpu},
          {"gpu_total_bytes", facts.gpu_total}};
}

// null: no limit beyond the model's own.
ordered_json ToJson(const OperatorLimitsReport& limits) {
  const auto limit = [](int64_t value) { return value == 0 ? ordered_json(nullptr) : ordered_json(value); };
  return {{"pixels", limit(limits.pixels)},
          {"steps", limit(limits.steps)},
          {"prompt_tokens", limit(limits.prompt_tokens)},
          {"client_pictures", limit(limits.client_pictures)}};
}

std::string Megabytes(int64_t bytes) { return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6); }

// Empty when its operator set no limits.
std::string ToText(const OperatorLimitsReport& limits) {
  std::vector<std::string> parts;
  const auto add = [&](int64_t limit, const char* of_what) {
    if (limit > 0) parts.push_back(absl::StrCat(limit, of_what));
  };
  add(limits.pixels, " pixels");
  add(limits.steps, " steps");
  add(limits.prompt_tokens, " tokens a prompt");
  add(limits.client_pictures, " waiting pictures a client");
  return parts.empty() ? "" : absl::StrCat("  allows       at most ", absl::StrJoin(parts, ", "), "\n");
}

std::string ToText(const ConditioningStoreReport& store) {
  std::string text = absl::StrCat("  conditioning ", store.entries, " stored, ", Megabytes(store.memory_bytes),
                                  " in memory, ", Megabytes(store.disk_bytes), " on disk; hits ", store.memory_hits,
                                  " in memory, ", store.disk_hits, " on disk, ", store.misses, " misses");
  if (store.damaged > 0) absl::StrAppend(&text, ", ", store.damaged, " damaged files");
  if (store.disk_failures > 0)
    absl::StrAppend(&text, "; the disk refused ", store.disk_failures, " times: ", store.last_failure);
  return text + "\n";
}

ordered_json ToJson(const std::string& address, const RendererDescription& renderer) {
  ordered_json encoders = ordered_json::array();
  for (const EncoderReport& encoder : renderer.encoders) {
    encoders.push_back({{"address", encoder.address},
                        {"reachable", encoder.reachable},
                        {"state", encoder.state},
                        {"in_flight", encoder.in_flight},
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
            {"shift_follows_size", renderer.shift_follows_size},
            {"schedule", renderer.schedule},
            {"defaults",
             {{"width", renderer.defaults.width},
              {"height", renderer.defaults.height},
              {"steps", renderer.defaults.steps},
              {"guidance_scale", renderer.defaults.guidance_scale},
              {"words", renderer.defaults.words}}},
            {"dtype", renderer.dtype},
            {"device", renderer.device},
            {"threads", renderer.threads},
            {"queued", renderer.queued},
            {"running", renderer.running},
            {"pause", renderer.pause ? PauseJson(*renderer.pause) : ordered_json()},
            {"limits", ToJson(renderer.limits)}}},
          {"conditioning_store", ToJson(renderer.conditioning_store)},
          {"state_folder", ToJson(renderer.state_folder)},
          {"machine", ToJson(renderer.machine, renderer.largest_side)},
          {"encoders", encoders}};
}

std::string ToText(const std::string& address, const RendererDescription& renderer) {
  std::string text = absl::StrCat("renderer ", address, "  version ", renderer.program_version, ", ", renderer.device,
                                  ", ", renderer.dtype, ", ", renderer.threads, " threads\n");
  absl::StrAppend(&text, "  queue        ", renderer.queued, " waiting, ", renderer.running, " at work",
                  renderer.pause ? absl::StrCat(", ", PauseText(*renderer.pause, UnixMsNow())) : "", "\n");
  absl::StrAppend(&text, "  transformer  ", renderer.transformer_fingerprint.substr(0, 16), ", takes ",
                  renderer.row_limit, " rows of ", renderer.cap_feat_dim, " values, shift ", renderer.default_shift,
                  renderer.shift_follows_size ? " at the default size, follows the size" : "", "\n");
  const ModelDefaultsView& defaults = renderer.defaults;
  absl::StrAppend(
      &text, "  made for     ", defaults.width, "x", defaults.height, ", ", defaults.steps, " steps, ",
      defaults.guidance_scale > 0 ? absl::StrCat("guidance scale ", defaults.guidance_scale) : "no guidance", "\n");
  if (!renderer.schedule.empty()) absl::StrAppend(&text, "  schedule     ", renderer.schedule, "\n");
  absl::StrAppend(&text, "  vae          ", renderer.vae_fingerprint.substr(0, 16), ", up to ", renderer.max_side,
                  " px a side\n");
  if (renderer.machine) {
    absl::StrAppend(&text, "  computes     ", MachineText(renderer.machine->facts), "\n  memory       ",
                    MemoryText(*renderer.machine, renderer.largest_side), "\n");
  }
  text += ToText(renderer.limits);
  if (renderer.conditioning_store) text += ToText(*renderer.conditioning_store);
  if (renderer.state_folder) {
    const StateFolderReport& folder = *renderer.state_folder;
    absl::StrAppend(&text, "  state folder ",
                    folder.problem.empty() ? Megabytes(folder.free_bytes) + " free" : "PROBLEM: " + folder.problem,
                    "\n");
  }
  if (renderer.encoders.empty()) absl::StrAppend(&text, "no encoders: only uploaded embeddings can be painted\n");
  for (const EncoderReport& encoder : renderer.encoders) {
    absl::StrAppend(&text, "encoder ", encoder.address, "  ");
    if (encoder.reachable) {
      absl::StrAppend(&text, encoder.model_fingerprint.substr(0, 16), ", rows of ", encoder.width, " values");
      if (encoder.in_flight > 0) absl::StrAppend(&text, ", encodes ", encoder.in_flight, " now");
      if (!encoder.error.empty()) absl::StrAppend(&text, "; ", encoder.error);
      text += "\n";
    } else {
      const bool is_refused = encoder.state == "refused";  // and the error says so
      const char* why = encoder.state == "loading" ? "loading: " : is_refused ? "" : "not reachable: ";
      absl::StrAppend(&text, why, encoder.error, "\n");
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
      environment.out << Reflowed(ToText(client->address(), renderer), environment.OutColumns()) << std::flush;
    }
    return kExitDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakeNodes() { return std::make_unique<Nodes>(); }

}  // namespace diptych
