#include "coordinator/client/saved_embeddings.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/image/picture_file.h"
#include "common/json/bounded_json.h"
#include "common/json/json_fields.h"
#include "common/weights/safetensors.h"
#include "common/weights/safetensors_writer.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kSidecarVersion = 1;
constexpr JsonBounds kSidecar{.bytes = size_t{16} << 20, .depth = 16, .values = 20'000};
constexpr size_t kMaxBytes = size_t{512} << 20;  // of what is piped, and of one tensor
constexpr std::string_view kUnknown = "<unknown>";
constexpr char kTensor[] = "embeddings";
constexpr char kNegativeTensor[] = "negative_embeddings";

fs::path SidecarPath(fs::path path) { return path.replace_extension(".json"); }

std::string TorchDtype(StateDtype dtype) { return "torch." + std::string(StateDtypeName(dtype)); }

// Null where there is nothing to say, as the other writers of this format do.
json TextOrNull(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

std::string BytesSha256(const Conditioning& conditioning) {
  return Sha256Hex(conditioning.bytes.data(), conditioning.bytes.size());
}

json NegativeJson(const SavedNegative& negative) {
  const PromptParts prompt = negative.prompt.value_or(PromptParts{});
  return {{"prompt", negative.prompt ? prompt.user : std::string(kUnknown)},
          {"force_think_block", prompt.force_think_block},
          {"remove_quotes", prompt.remove_quotes},
          {"keep_whitespace", prompt.keep_whitespace},
          {"text_sha256", negative.conditioning.header.input_sha256},
          {"token_count", negative.conditioning.header.token_count},
          {"sequence_length", negative.conditioning.header.rows},
          {"sha256", BytesSha256(negative.conditioning)}};
}

json SidecarJson(const SavedEmbeddings& saved) {
  const ConditioningHeader& header = saved.conditioning.header;
  const PromptParts prompt = saved.prompt.value_or(PromptParts{});
  json sidecar = {
      {"prompt", saved.prompt ? prompt.user : std::string(kUnknown)},
      {"template", nullptr},
      {"enable_thinking", prompt.force_think_block || !prompt.thinking.empty()},
      {"system_prompt", TextOrNull(prompt.system)},
      {"thinking_content", TextOrNull(prompt.thinking)},
      {"sequence_length", header.rows},
      {"embedding_dim", header.width},
      {"dtype", TorchDtype(header.dtype)},
      {"created_at", saved.created_at},
      {"encoder_device", saved.encoder_device},
      {"model_path", saved.model_path},
      // What follows is ours.
      {"version", kSidecarVersion},
      {"program_version", saved.program_version},
      {"model_fingerprint", header.model_fingerprint},
      {"tokenizer_fingerprint", header.tokenizer_fingerprint},
      {"text_sha256", header.input_sha256},
      {"token_count", header.token_count},
      {"layer", header.layer},
      {"long_prompt_mode", std::string(LongPromptModeName(header.long_prompt_mode))},
      {"assistant_content", TextOrNull(prompt.assistant)},
      {"force_think_block", prompt.force_think_block},
      {"remove_quotes", prompt.remove_quotes},
      {"keep_whitespace", prompt.keep_whitespace},
      {"conversation", TextOrNull(prompt.conversation_json)},
      {"sha256", BytesSha256(saved.conditioning)},
  };
  if (saved.negative) sidecar["negative"] = NegativeJson(*saved.negative);
  return sidecar;
}

std::optional<PromptParts> ReadPrompt(JsonFields& sidecar) {
  if (!sidecar.Has("prompt") || sidecar.OptionalText("prompt") == kUnknown) return std::nullopt;
  PromptParts prompt;
  prompt.conversation_json = sidecar.OptionalText("conversation");
  if (!prompt.conversation_json.empty()) return prompt;
  prompt.user = sidecar.OptionalText("prompt");
  prompt.system = sidecar.OptionalText("system_prompt");
  prompt.thinking = sidecar.OptionalText("thinking_content");
  prompt.assistant = sidecar.OptionalText("assistant_content");
  // Other programs say only whether there was a block.
  prompt.force_think_block = sidecar.Has("force_think_block")
                                 ? sidecar.OptionalFlag("force_think_block")
                                 : sidecar.OptionalFlag("enable_thinking") && prompt.thinking.empty();
  prompt.remove_quotes = sidecar.OptionalFlag("remove_quotes");
  prompt.keep_whitespace = sidecar.OptionalFlag("keep_whitespace");
  return prompt;
}

void MustEqual(JsonFields& sidecar, const char* key, int64_t tensor) {
  if (sidecar.OptionalWhole(key, 0, INT64_MAX, tensor) == tensor) return;
  sidecar.RefuseField(key, "contradicts the tensor, which has " + std::to_string(tensor));
}

void MustHaveBytes(JsonFields& sidecar, const Conditioning& conditioning) {
  if (!sidecar.Has("sha256") || sidecar.OptionalText("sha256") == BytesSha256(conditioning)) return;
  throw Error(ErrorCode::kDataLoss,
              "the embeddings are not those that their .json was written for (their checksums differ)");
}

void ReadSidecar(JsonFields& sidecar, SavedEmbeddings& saved) {
  ConditioningHeader& header = saved.conditioning.header;
  if (sidecar.OptionalWhole("version", 1, INT32_MAX, kSidecarVersion) > kSidecarVersion) {
    sidecar.RefuseField("version", "is newer than this program knows (" + std::to_string(kSidecarVersion) + ")");
  }
  MustEqual(sidecar, "sequence_length", header.rows);
  MustEqual(sidecar, "embedding_dim", header.width);
  if (sidecar.Has("dtype") && sidecar.OptionalText("dtype") != TorchDtype(header.dtype)) {
    sidecar.RefuseField("dtype", "contradicts the tensor, which is " + TorchDtype(header.dtype));
  }
  MustHaveBytes(sidecar, saved.conditioning);
  header.model_fingerprint = sidecar.OptionalText("model_fingerprint");
  header.tokenizer_fingerprint = sidecar.OptionalText("tokenizer_fingerprint");
  header.input_sha256 = sidecar.OptionalText("text_sha256");
  header.token_count = sidecar.OptionalWhole("token_count", 0, INT64_MAX, header.rows);
  header.layer = static_cast<int32_t>(sidecar.OptionalWhole("layer", -1000, -1, header.layer));
  if (sidecar.Has("long_prompt_mode"))
    header.long_prompt_mode = ParseLongPromptMode(sidecar.OptionalText("long_prompt_mode"));
  saved.prompt = ReadPrompt(sidecar);
  saved.created_at = sidecar.OptionalText("created_at");
  saved.encoder_device = sidecar.OptionalText("encoder_device");
  saved.model_path = sidecar.OptionalText("model_path");
  saved.program_version = sidecar.OptionalText("program_version");
}

void ReadNegativeSidecar(JsonFields& sidecar, SavedNegative& negative) {
  ConditioningHeader& header = negative.conditioning.header;
  MustEqual(sidecar, "sequence_length", header.rows);
  MustHaveBytes(sidecar, negative.conditioning);
  header.input_sha256 = sidecar.OptionalText("text_sha256");
  header.token_count = sidecar.OptionalWhole("token_count", 0, INT64_MAX, header.rows);
  negative.prompt = ReadPrompt(sidecar);
}

void RefusePickle(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".pt" || extension == ".pth" || extension == ".pkl" || extension == ".pickle" ||
      extension == ".bin") {
    throw Error(ErrorCode::kInvalidArgument,
                path.string() + " is a pickle, which can run code when it is opened; use a .safetensors file");
  }
}

Conditioning ReadTensor(const TensorEntry& tensor, const fs::path& path) {
  const std::string what = path.string() + ": " + tensor.name;
  if (tensor.dtype != Dtype::BF16 && tensor.dtype != Dtype::F32) {
    throw Error(ErrorCode::kInvalidArgument,
                what + " are " + std::string(tensor.dtype_name()) + ", expected BF16 or F32");
  }
  if (tensor.shape.size() != 2 || tensor.shape[0] <= 0 || tensor.shape[1] <= 0) {
    throw Error(ErrorCode::kInvalidArgument,
                what + " have the shape " + ShapeText(tensor.shape) + ", expected [tokens, width]");
  }
  if (tensor.byte_count > kMaxBytes) {
    throw Error(ErrorCode::kInvalidArgument, what + " have the shape " + ShapeText(tensor.shape) + ", which is " +
                                                 std::to_string(tensor.byte_count >> 20) + " MiB; at most " +
                                                 std::to_string(kMaxBytes >> 20) + " MiB are read");
  }
  Conditioning conditioning;
  conditioning.header.dtype = tensor.dtype == Dtype::BF16 ? StateDtype::kBFloat16 : StateDtype::kFloat32;
  conditioning.header.rows = tensor.shape[0];
  conditioning.header.width = tensor.shape[1];
  conditioning.header.token_count = tensor.shape[0];
  conditioning.bytes.assign(tensor.data, tensor.data + tensor.byte_count);
  return conditioning;
}

void RefusePicture(std::string_view begin, const std::string& name) {
  const std::optional<PictureFormat> format = SniffPictureFormat(begin);
  if (!format) return;
  throw Error(ErrorCode::kInvalidArgument,
              name + " is a picture (" + std::string(PictureFormatName(*format)) +
                  "), expected saved embeddings (.safetensors); --img2img and --inpaint take pictures to begin with, "
                  "--from-picture one of Diptych's to repeat");
}

std::string BeginOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string begin(kPictureSignatureBytes, '\0');
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  begin.resize(static_cast<size_t>(file.gcount()));
  return begin;
}

void ReadTensors(const std::string& path, const InputSource& source, SavedEmbeddings& saved) {
  std::string bytes;  // of what cannot be mapped
  std::shared_ptr<const SafetensorsFile> file;
  if (IsOrdinaryFile(path)) {
    RefusePicture(BeginOf(path), path);
    file = SafetensorsFile::Open(path);
  } else {
    const InputHead head{
        std::max(kSafetensorsBeginBytes, kPictureSignatureBytes), [&](std::string_view begin) {
          RefusePicture(begin, InputName(path));
          CheckSafetensorsBegin({reinterpret_cast<const uint8_t*>(begin.data()), begin.size()}, InputName(path));
        }};
    bytes = ReadInput(path, kMaxBytes, source, head);
    file = SafetensorsFile::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, InputName(path));
  }
  const TensorEntry* tensor = file->Find(kTensor);
  if (tensor == nullptr) throw Error(ErrorCode::kInvalidArgument, InputName(path) + " has no tensor \"embeddings\"");
  saved.conditioning = ReadTensor(*tensor, path);
  const TensorEntry* negative = file->Find(kNegativeTensor);
  if (negative == nullptr) return;
  saved.negative = SavedNegative{ReadTensor(*negative, path), std::nullopt};
  if (negative->dtype != tensor->dtype || negative->shape[1] != tensor->shape[1]) {
    throw Error(ErrorCode::kInvalidArgument,
                InputName(path) + ": negative_embeddings differ from embeddings in dtype or width");
  }
}

json ReadSidecarJson(const fs::path& path, const InputSource& source) {
  const std::string text = ReadBoundedFile(path, kSidecar.bytes, source.pause);
  try {
    return ParseBoundedJson(text, kSidecar);
  } catch (const JsonError& error) {
    throw Error(ErrorCode::kDataLoss,
                path.string() + (error.is_syntax() ? " is not a JSON object" : ": " + std::string(error.what())));
  }
}

// What the sidecar says once for both.
void ShareOrigin(const ConditioningHeader& positive, ConditioningHeader& negative) {
  negative.model_fingerprint = positive.model_fingerprint;
  negative.tokenizer_fingerprint = positive.tokenizer_fingerprint;
  negative.layer = positive.layer;
  negative.long_prompt_mode = positive.long_prompt_mode;
}

}  // namespace

fs::path EmbeddingsPath(const fs::path& path) {
  RefusePickle(path);
  return path.extension() == ".safetensors" ? path : fs::path(path.string() + ".safetensors");
}

fs::path SaveEmbeddings(const fs::path& path, const SavedEmbeddings& saved) {
  CheckConditioning(saved.conditioning);
  const fs::path target = EmbeddingsPath(path);
  const ConditioningHeader& header = saved.conditioning.header;
  PrepareToWrite(target, Readers::kOwner);
  PrepareToWrite(SidecarPath(target), Readers::kOwner);
  const Dtype dtype = header.dtype == StateDtype::kBFloat16 ? Dtype::BF16 : Dtype::F32;
  std::vector<TensorToWrite> tensors = {{{kTensor, dtype, {header.rows, header.width}}, saved.conditioning.bytes}};
  if (saved.negative) {
    const Conditioning& negative = saved.negative->conditioning;
    CheckConditioning(negative);
    tensors.push_back({{kNegativeTensor, dtype, {negative.header.rows, negative.header.width}}, negative.bytes});
  }
  // The sidecar comes last: after a crash between the two, its checksum tells that it belongs to older embeddings.
  WriteSafetensors(target.string(), tensors);
  WriteFileAtomically(SidecarPath(target),
                      SidecarJson(saved).dump(2, ' ', false, json::error_handler_t::replace) + "\n", Readers::kOwner);
  return target;
}

SavedEmbeddings LoadEmbeddings(const std::string& file, const InputSource& source) {
  RefusePickle(file);
  std::error_code ignored;
  const bool is_there = file == kStandardInput || fs::exists(file, ignored);
  const fs::path path = is_there ? fs::path(file) : EmbeddingsPath(file);
  SavedEmbeddings saved;
  ReadTensors(path.string(), source, saved);
  const fs::path sidecar_path = SidecarPath(path);
  if (file != kStandardInput && fs::exists(sidecar_path, ignored)) {
    const json object = ReadSidecarJson(sidecar_path, source);
    if (!object.is_object()) throw Error(ErrorCode::kDataLoss, sidecar_path.string() + " is not a JSON object");
    // That of another program may lack anything; what is there must be of the right type.
    JsonFields sidecar(object, sidecar_path.string(), "", JsonFields::Null::kIsMissing);
    ReadSidecar(sidecar, saved);
    if (saved.negative && sidecar.Has("negative")) {
      JsonFields negative = sidecar.Object("negative");
      ReadNegativeSidecar(negative, *saved.negative);
    }
  }
  CheckConditioning(saved.conditioning);
  if (saved.negative) {
    ShareOrigin(saved.conditioning.header, saved.negative->conditioning.header);
    CheckConditioning(saved.negative->conditioning);
  }
  return saved;
}

}  // namespace diptych
