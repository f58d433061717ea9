#include "encoder_node/engine/text_encoder.h"

#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "common/concurrency/apart.h"
#include "common/concurrency/physical_cores.h"
#include "common/conditioning/encode_input_hash.h"
#include "common/conditioning/long_prompt.h"
#include "common/conditioning/token_limit.h"
#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/memory/format_choice.h"
#include "common/nn/compute.h"
#include "common/source_files/files_read.h"
#include "common/source_files/model_folder.h"
#include "common/weights/checkpoint.h"
#include "common/weights/fingerprint.h"
#include "common/weights/load_tokenizer.h"
#include "common/weights/model_files.h"
#include "common/weights/part_source.h"
#include "common/weights/weight_need.h"
#include "common/weights/weight_view.h"
#include "encoder_node/qwen3/model.h"

namespace diptych {
namespace {

// What a prompt of the usual length takes beside the weights: 512 tokens, some vectors of each width at a time.
uint64_t PassBytes(const qwen3::Config& config) {
  return 512 * 4 * static_cast<uint64_t>(12 * config.hidden_size + 3 * config.intermediate_size);
}

// Floating-point operations of one layer over so many tokens.
double LayerFlop(const qwen3::Config& c, double tokens) {
  const double width = static_cast<double>(c.hidden_size);
  const double heads = static_cast<double>((2 * c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim);
  return 2 * tokens * width * (heads + 3 * static_cast<double>(c.intermediate_size)) +
         2 * tokens * tokens * static_cast<double>(c.num_attention_heads * c.head_dim);
}

struct Plan {
  WeightNeed weights;
  FormatChoice choice;
};

// Throws Error(kResourceExhausted) when the weights do not fit.
Plan PlanLoad(const TextEncoderOptions& options, at::Device device, at::ScalarType dtype, const Checkpoint& checkpoint,
              const qwen3::Config& config) {
  const bool wide = dtype == at::kFloat, on_gpu = device.is_cuda();
  Plan plan{.weights = NeedOf(checkpoint, wide ? Dtype::F32 : Dtype::BF16, {"lm_head."}), .choice = {}};
  FormatNeed need{.format = wide ? "float32" : "bfloat16",
                  .copied = plan.weights.copied,
                  .mapped = plan.weights.mapped,
                  .work = PassBytes(config)};
  if (on_gpu) {
    need.copied = plan.weights.on_gpu;
    need.mapped = 0;
    plan.weights = {};
  }
  std::optional<MemoryRoom> room;
  if (!options.ignore_memory) room = on_gpu ? nn::GpuRoom(device) : RoomNow(options.read_memory());
  const std::string way_out = (wide ? "--torch-dtype bfloat16 needs less; " : "") +
                              std::string("end other programs, or --ignore-memory loads all the same");
  plan.choice = ChooseFormat({.what = "the text encoder", .by_format = {need}, .beside = 0, .way_out = way_out}, room);
  return plan;
}

qwen3::Config ReadConfig(const PartSource& source) {
  if (source.config_file.empty()) {
    return source.metadata == nullptr ? qwen3::Config::FromShapes(*source.weights)
                                      : qwen3::Config::FromGguf(*source.metadata, *source.weights);
  }
  qwen3::Config config = qwen3::Config::Parse(source.config_text, source.config_file);
  if (source.metadata == nullptr) return config;
  try {
    const qwen3::Config own = qwen3::Config::FromGguf(*source.metadata, *source.weights);
    if (const std::string difference = UntoldDifference(config, own); !difference.empty()) {
      config.warnings.push_back(source.config_file + " and the metadata of " + source.weights->path() +
                                " differ: " + difference + "; the former is taken");
    }
  } catch (const Error& error) {
    config.warnings.push_back(std::string(error.what()) + "; " + source.config_file + " is taken");
  }
  return config;
}

// A file that is not what its configuration says is told which configuration that is.
qwen3::Model MakeModel(const WeightView& weights, const qwen3::Config& config, const PartSource& source) {
  try {
    return qwen3::Model(weights, config);
  } catch (const Error& error) {
    std::error_code ignored;
    const bool is_file = !std::filesystem::is_directory(source.weights->path(), ignored);
    if (!is_file || source.config_file.empty() || error.code() != ErrorCode::kInvalidArgument) throw;
    throw Error(error.code(), error.what() + ("; the configuration is that of " + source.config_file));
  }
}

class TextEncoder : public PromptEncoder {
 public:
  explicit TextEncoder(const TextEncoderOptions& options)
      : device_(nn::ChooseDevice(options.device)),
        dtype_(nn::ChooseDtype(options.torch_dtype, device_, at::kBFloat16)),
        threads_(nn::SetThreads(options.threads)),
        tokenizer_(LoadTokenizer(options.tokenizer_path)),
        source_(OpenPart(options.text_encoder_path, ModelPart::kTextEncoder, options.config_path)),
        checkpoint_(source_.weights),
        config_(ReadConfig(source_)),
        plan_(PlanLoad(options, device_, dtype_, *checkpoint_, config_)),
        weights_(checkpoint_, device_, dtype_),
        model_(MakeModel(weights_, config_, source_)) {
    const int64_t vocabulary = model_.config().vocab_size, needed = static_cast<int64_t>(tokenizer_.vocabulary_size());
    if (needed > vocabulary) {
      throw Error(ErrorCode::kInvalidArgument, options.tokenizer_path + ": the tokenizer has " +
                                                   std::to_string(needed) + " tokens, this text model knows " +
                                                   std::to_string(vocabulary) + " (vocab_size)");
    }
    std::vector<std::string> hashes;
    FingerprintWork work;
    const FingerprintCache cache(options.fingerprint_cache);
    facts_.model_fingerprint =
        CheckpointFingerprint(*checkpoint_, model_.config().Identity(), threads_, &hashes, &cache, &work);
    files_.AddWeights(checkpoint_, std::move(hashes));
    facts_.tokenizer_fingerprint = Sha256Hex(tokenizer_.Identity());
    facts_.width = model_.config().hidden_size;
    facts_.layers = static_cast<int32_t>(model_.config().num_hidden_layers);
    facts_.dtype = dtype_ == at::kFloat ? StateDtype::kFloat32 : StateDtype::kBFloat16;
    facts_.threads = threads_;
    facts_.device = device_.is_cuda() ? "cuda" : "cpu";
    facts_.notes = source_.notes;
    facts_.notes.push_back(plan_.choice.line);
    facts_.notes.push_back(work.Line(options.text_encoder_path));
    facts_.machine = nn::DescribeMachinery(device_);
    facts_.machine.weights_copied = plan_.weights.copied;
    facts_.machine.weights_mapped = plan_.weights.mapped;
    facts_.machine.work = device_.is_cuda() ? 0 : PassBytes(config_);
    facts_.warnings = tokenizer_.warnings();
    if (!plan_.choice.warning.empty()) facts_.warnings.push_back(plan_.choice.warning);
    const std::vector<std::string>& more = model_.config().warnings;
    facts_.warnings.insert(facts_.warnings.end(), more.begin(), more.end());
    if (std::string line = weights_.UnusedWarning({"lm_head."}); !line.empty()) {  // it makes words, not states
      facts_.warnings.push_back(std::move(line));
    }
    facts_.warnings.insert(facts_.warnings.end(), checkpoint_->warnings().begin(), checkpoint_->warnings().end());
  }

  void AddRead(const std::vector<FileRead>& files) { files_.AddRead(files); }

  const EncoderFacts& facts() const override { return facts_; }
  void ThrowIfChanged() override { files_.ThrowIfChanged(); }
  ModelNews LookAtFiles() override { return files_.Look(); }

  Conditioning Encode(const EncodeInput& input, const EncodeParameters& parameters, const Pause& pause) override {
    model_.StateIndex(parameters.layer);  // refuse before the work
    if (parameters.row_limit < 0) throw Error(ErrorCode::kInvalidArgument, "row_limit must not be negative");
    const std::vector<int64_t> ids = tokenizer_.Encode(input.text, pause);
    CheckTokenLimit("prompt", static_cast<int64_t>(ids.size()), parameters.token_limit);
    const int64_t most = model_.config().max_position_embeddings;
    if (static_cast<int64_t>(ids.size()) > most) {
      throw Error(ErrorCode::kInvalidArgument, "the prompt has " + std::to_string(ids.size()) +
                                                   " tokens, this text model takes at most " + std::to_string(most));
    }
    // Who works while this one pauses may have set others; where a sum is cut shall not depend on that.
    const int threads = ThreadsWorthwhile(LayerFlop(config_, static_cast<double>(ids.size())), threads_);
    nn::SetThreads(threads);
    const Pause pause_and_go_on = [&] {
      if (!pause) return;
      pause();
      nn::SetThreads(threads);
    };
    files_.ThrowIfChanged();
    at::Tensor rows = model_.HiddenState(ids, parameters.layer, pause_and_go_on);  // [T, width]
    if (parameters.row_limit > 0) rows = FitRows(rows, parameters.row_limit, parameters.long_prompt_mode);
    rows = rows.to(at::kCPU).contiguous();
    files_.ThrowIfChanged();

    Conditioning conditioning;
    ConditioningHeader& header = conditioning.header;
    header.model_fingerprint = facts_.model_fingerprint;
    header.tokenizer_fingerprint = facts_.tokenizer_fingerprint;
    header.input_sha256 = EncodeInputHash(input);
    header.token_count = static_cast<int64_t>(ids.size());
    header.layer = parameters.layer;
    header.long_prompt_mode = parameters.long_prompt_mode;
    header.dtype = facts_.dtype;
    header.rows = rows.size(0);
    header.width = rows.size(1);
    conditioning.bytes.resize(header.ByteCount());
    std::memcpy(conditioning.bytes.data(), rows.data_ptr(), conditioning.bytes.size());
    return conditioning;
  }

  std::vector<int64_t> TokenIds(const EncodeInput& input) const override { return tokenizer_.Encode(input.text); }

 private:
  const at::Device device_;
  const at::ScalarType dtype_;
  const int threads_;
  const BpeTokenizer tokenizer_;
  const PartSource source_;
  const std::shared_ptr<const Checkpoint> checkpoint_;
  const qwen3::Config config_;
  const Plan plan_;
  const WeightView weights_;
  const qwen3::Model model_;
  EncoderFacts facts_;
  ModelFiles files_;
};

// Calls come in on whatever thread the server has.
class TextEncoderApart : public PromptEncoder {
 public:
  explicit TextEncoderApart(std::unique_ptr<TextEncoder> encoder) : encoder_(std::move(encoder)) {}
  const EncoderFacts& facts() const override { return encoder_->facts(); }
  Conditioning Encode(const EncodeInput& input, const EncodeParameters& parameters, const Pause& pause) override {
    Conditioning conditioning;
    RunApart([&] { conditioning = encoder_->Encode(input, parameters, pause); });
    return conditioning;
  }
  std::vector<int64_t> TokenIds(const EncodeInput& input) const override { return encoder_->TokenIds(input); }
  void ThrowIfChanged() override { encoder_->ThrowIfChanged(); }
  ModelNews LookAtFiles() override { return encoder_->LookAtFiles(); }

 private:
  const std::unique_ptr<TextEncoder> encoder_;
};

}  // namespace

std::unique_ptr<PromptEncoder> LoadTextEncoder(const TextEncoderOptions& options) {
  std::unique_ptr<TextEncoder> encoder;
  RunApart([&] {
    FilesReadHere reading;
    try {
      encoder = std::make_unique<TextEncoder>(options);
    } catch (const Error& error) {
      throw Error(error.code(), error.what() + FamilyNote(options.text_encoder_path));
    }
    reading.ThrowIfChanged();  // fingerprints are of what is there now
    encoder->AddRead(reading.files());
  });
  return std::make_unique<TextEncoderApart>(std::move(encoder));
}

}  // namespace diptych
