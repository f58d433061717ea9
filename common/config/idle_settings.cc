#include "common/config/idle_settings.h"

#include "absl/strings/str_cat.h"
#include "common/config/options.h"

namespace diptych {
namespace {

class Notes {
 public:
  explicit Notes(const Settings& settings) : settings_(settings) {}

  template <typename T>
  void Idle(const Option<T>& option, const std::string& reason) {
    if (settings_.IsSet(option)) {
      lines_.push_back(absl::StrCat(std::string(option.info.key), " has no effect: ", reason));
    }
  }
  // A limit of a part beyond that of the whole.
  void Part(const Option<int64_t>& part, const Option<int64_t>& whole) {
    if (settings_.Get(part) <= settings_.Get(whole)) return;
    Idle(part, absl::StrCat(std::string(whole.info.key), " is ", settings_.Get(whole), ", and less"));
  }
  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  const Settings& settings_;
  std::vector<std::string> lines_;
};

void NoteRenderer(const Settings& settings, Notes& notes) {
  if (settings.Get(options::kTiledVae) == "off") {
    notes.Idle(options::kTileSize, "pytorch.tiled_vae is off");
    notes.Idle(options::kTileOverlap, "pytorch.tiled_vae is off");
  }
  if (settings.Get(options::kRenderEncoders).empty()) {
    notes.Idle(options::kRenderEncodeTimeout, "no encoder is configured (render.encoders)");
    notes.Idle(options::kRenderEncoderFingerprint, "no encoder is configured (render.encoders)");
  }
  if (settings.Get(options::kRenderEncodeAhead) < settings.Get(options::kRenderBatch)) {
    notes.Idle(options::kRenderEncodeAhead,
               absl::StrCat("render.batch is ", settings.Get(options::kRenderBatch), ", and as many are encoded"));
  }
  notes.Part(options::kRenderClientQueueLimit, options::kRenderQueueLimit);
  notes.Part(options::kRenderConnectionsPerHost, options::kRenderConnections);
}

}  // namespace

std::vector<std::string> IdleSettings(const Settings& settings, ProgramMask programs) {
  Notes notes(settings);
  if ((programs & kRenderd) != 0) NoteRenderer(settings, notes);
  if ((programs & kEncoderd) != 0) notes.Part(options::kEncoderConnectionsPerHost, options::kEncoderConnections);
  const std::string& level = settings.Get(options::kLogLevel);
  if ((level == "warning" || level == "error") && settings.Get(options::kLogPrompts)) {
    notes.Idle(options::kLogPrompts, absl::StrCat("log.level is ", level, ", and prompts are logged at info"));
  }
  return notes.Take();
}

}  // namespace diptych
