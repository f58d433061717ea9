#include "coordinator/cli/picture_order.h"

#include <numeric>
#include <random>
#include <sstream>
#include <utility>

#include "common/conditioning/conditioning_hash.h"
#include "common/config/options.h"
#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/image/picture_file.h"
#include "coordinator/cli/caller_name.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/seed_list.h"
#include "coordinator/client/saved_embeddings.h"

namespace diptych {
namespace {

constexpr size_t kMaxPictureBytes = size_t{128} << 20;
constexpr size_t kMaxKeyBytes = 120;  // the renderer takes 128; of several pictures each gets a number

PictureRequest RequestOfReceipt(const Receipt& receipt) {
  PictureRequest request;
  request.prompt = receipt.prompt;
  request.negative = receipt.negative;
  request.width = receipt.width;
  request.height = receipt.height;
  request.steps = receipt.steps;
  request.seed = receipt.seed;
  request.shift = receipt.shift;
  request.guidance_scale = receipt.guidance_scale;
  request.cfg_normalization = receipt.cfg_normalization;
  request.cfg_truncation = receipt.cfg_truncation;
  request.layer = receipt.layer;
  request.long_prompt_mode = ParseLongPromptMode(receipt.long_prompt_mode);
  return request;
}

bool SamePicture(const PictureRequest& a, const PictureRequest& b) {
  return a.prompt == b.prompt && a.negative == b.negative && a.width == b.width && a.height == b.height &&
         a.steps == b.steps && a.seed == b.seed && a.shift == b.shift && a.guidance_scale == b.guidance_scale &&
         a.cfg_normalization == b.cfg_normalization && a.cfg_truncation == b.cfg_truncation && a.layer == b.layer &&
         a.long_prompt_mode == b.long_prompt_mode;
}

// What does not determine the picture.
void PutLabels(const PictureRequest& values, PictureRequest& request) {
  request.client = values.client;
  request.priority = values.priority;
  request.idempotency_key = values.idempotency_key;
  request.timeout_ms = values.timeout_ms;
}

// The same job again must have the same seed, also where nobody chose one. Below 2^32, as RandomSeed.
uint64_t SeedOf(const std::string& idempotency_key) {
  return std::stoull(Sha256Hex(idempotency_key).substr(0, 8), nullptr, 16);
}

// `all`: every value counts, else only those that were given by flag.
void PutNumbers(const PictureOptions& options, bool all, PictureRequest& request) {
  const PictureRequest& values = options.values;
  if (all || options.width_given) request.width = values.width;
  if (all || options.height_given) request.height = values.height;
  if (all || options.steps_given) request.steps = values.steps;
  if (all || options.shift_given) request.shift = values.shift;
  if (all || options.guidance_given) request.guidance_scale = values.guidance_scale;
  if (all || options.normalization_given) request.cfg_normalization = values.cfg_normalization;
  if (all || options.truncation_given) request.cfg_truncation = values.cfg_truncation;
  if (all || options.layer_given) request.layer = values.layer;
  if (all || options.mode_given) request.long_prompt_mode = values.long_prompt_mode;
  if (options.seed) request.seed = *options.seed;
  if (!options.seeds.empty()) request.seed = options.seeds.front();
}

std::vector<uint64_t> FollowingSeeds(uint64_t first, uint64_t count) {
  if (first > kMaxSeed - (count - 1)) {
    throw UsageError("--seed " + std::to_string(first) + " leaves no room for " + std::to_string(count) +
                     " following seeds; the last must be at most 2^64 - 1");
  }
  std::vector<uint64_t> seeds(count);
  std::iota(seeds.begin(), seeds.end(), first);
  return seeds;
}

// Guidance is known.
void SettleNegative(PictureOrder& order) {
  PictureRequest& request = order.request;
  if (request.guidance_scale <= 0) {
    request.negative.reset();
    request.negative_conditioning.reset();
    for (const std::string& flag : order.guidance_flags) {
      order.notes.push_back(flag + " has no effect without --guidance-scale above 0");
    }
  } else if (request.conditioning) {
    if (!request.negative_conditioning) {
      throw UsageError(
          "guidance needs negative embeddings and the file has none; save it with --guidance-scale above 0");
    }
    if (order.negative_given)
      throw UsageError("--load-embeddings brings its own negative prompt; leave --negative-prompt out");
  } else if (!request.negative || order.negative_given) {
    request.negative = order.negative;
  }
}

void PutNegative(const PictureOptions& options, PictureOrder& order) {
  // First of all: a text that is not UTF-8 is wrong usage even where it has no effect.
  order.negative = NegativePrompt(options.negative_prompt, order.request.prompt);
  order.negative_given = options.negative_given;
  const auto needs_guidance = [&](bool given, const OptionInfo& option) {
    if (given) order.guidance_flags.emplace_back(option.flag);
  };
  needs_guidance(options.negative_given, options::kNegativePrompt.info);
  needs_guidance(options.normalization_given, options::kCfgNormalization.info);
  needs_guidance(options.truncation_given, options::kCfgTruncation.info);
  if (!order.open.guidance) SettleNegative(order);
}

// The embeddings state their prompt: with it as the label the picture is the same as if the encoder had been asked.
void PutEmbeddings(const std::optional<std::string>& prompt, const PictureOptions& options, const InputSource& source,
                   PictureOrder& order) {
  if (options.layer_given || options.prompt.AnyGiven() || !options.prompt.conversation_file.empty()) {
    throw UsageError("--load-embeddings brings its own prompt and layer; leave out the flags for them");
  }
  SavedEmbeddings saved = LoadEmbeddings(options.load_embeddings, source);
  const bool known = saved.prompt.has_value();
  if (prompt && known && saved.prompt->user != *prompt) {
    throw UsageError("the embeddings were made from another prompt than the one given; leave PROMPT out");
  }
  PictureRequest& request = order.request;
  if (known) {
    request.prompt = saved.prompt;
  } else if (prompt) {
    request.prompt = MakePrompt(prompt, {});
  } else if (!order.receipt) {
    request.prompt.reset();
  }
  request.layer = saved.conditioning.header.layer;
  LongPromptMode& mode = saved.conditioning.header.long_prompt_mode;  // how the renderer shortens what is too long
  if (known && !options.mode_given) {
    request.long_prompt_mode = mode;
  } else {
    mode = request.long_prompt_mode;
  }
  if (saved.negative) saved.negative->conditioning.header.long_prompt_mode = mode;
  if (order.receipt && ConditioningHash(saved.conditioning) != order.receipt->conditioning_hash) {
    order.notes.push_back("the embeddings are not those that the picture was made from");
  }
  request.conditioning = std::make_shared<const Conditioning>(std::move(saved.conditioning));
  if (!saved.negative) return;
  request.negative = saved.negative->prompt;
  request.negative_conditioning = std::make_shared<const Conditioning>(std::move(saved.negative->conditioning));
}

std::string SizeText(int32_t width, int32_t height) { return std::to_string(width) + "x" + std::to_string(height); }

// The receipt's shift is that of its own size, unless somebody chose it; no receipt says which.
void FollowSize(PictureOrder& order) {
  PictureRequest& request = order.request;
  const std::optional<Receipt>& receipt = order.receipt;
  if (!receipt || order.shift_given || !request.shift) return;
  if (request.width == receipt->width && request.height == receipt->height) return;
  std::ostringstream shift;
  shift << *request.shift;
  order.notes.push_back("the shift follows the size of the picture here: it is that of " +
                        SizeText(request.width, request.height) + ", not the picture's " + shift.str() + "; --shift " +
                        shift.str() + " keeps it");
  request.shift.reset();
}

// A network paints a picture that is much larger than those that it has seen for a long time, and then it is noise.
void NoteFarSize(const ModelDefaultsView& defaults, PictureOrder& order) {
  constexpr int64_t kMostTimes = 4;  // in pixels: twice as long and as high
  if (order.receipt && !order.changed) return;
  const PictureRequest& request = order.request;
  const int64_t own = int64_t{defaults.width} * defaults.height, asked = int64_t{request.width} * request.height;
  if (asked <= own * kMostTimes) return;
  order.notes.push_back(SizeText(request.width, request.height) + " is far from the " +
                        SizeText(defaults.width, defaults.height) +
                        " that this model is made for; it may paint nothing but noise");
}

struct RepeatedPicture {
  Receipt receipt;
  std::optional<PictureFit> fit;
};

RepeatedPicture ReadRepeated(const std::string& file, const InputSource& source) {
  const std::string bytes = ReadInput(file, kMaxPictureBytes, source);
  try {
    const PictureText texts = ReadPictureText(bytes);
    return {FindReceipt(texts), FindFit(texts)};
  } catch (const Error& error) {
    throw Error(error.code(), InputName(file) + ": " + error.what());
  }
}

// The file's size: by flag, else that of the picture that is repeated, else what is painted.
void PutFit(const PictureOptions& options, PictureOrder& order) {
  PictureFit fit = order.fit.value_or(PictureFit{FitMode::kNone, order.request.width, order.request.height});
  const bool all = !order.receipt;
  if (options.fit != FitMode::kNone) fit.mode = options.fit;
  if ((all || options.width_given) && !options.open.width) fit.width = options.file_width;
  if ((all || options.height_given) && !options.open.height) fit.height = options.file_height;
  order.fit.reset();
  if (fit.mode == FitMode::kNone || (fit.width == order.request.width && fit.height == order.request.height)) return;
  order.fit = fit;
}

}  // namespace

PromptParts NegativePrompt(const std::string& text, const std::optional<PromptParts>& positive) {
  CheckArgument("--negative-prompt", text);
  PromptParts negative;
  negative.user = text;
  if (positive) {
    negative.force_think_block = positive->force_think_block;
    negative.remove_quotes = positive->remove_quotes;
    negative.keep_whitespace = positive->keep_whitespace;
  }
  return negative;
}

void RefuseEmbeddingsName(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    throw UsageError(file + " is a folder; name a .safetensors file in it");
  try {
    (void)EmbeddingsPath(file);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

void Complete(const RendererDescription& renderer, PictureOrder& order) {
  const ModelDefaultsView& defaults = renderer.defaults;
  PictureRequest& request = order.request;
  if (order.open.width) request.width = defaults.width;
  if (order.open.height) request.height = defaults.height;
  if (order.open.width && order.fit) order.fit->width = request.width;
  if (order.open.height && order.fit) order.fit->height = request.height;
  if (order.open.steps) request.steps = defaults.steps;
  if (order.open.guidance) {
    // Embeddings that were saved without guidance are painted without it.
    const bool possible = !request.conditioning || request.negative_conditioning;
    request.guidance_scale = possible ? defaults.guidance_scale : 0;
    SettleNegative(order);
  }
  order.open = {};
  if (renderer.shift_follows_size) FollowSize(order);
  NoteFarSize(defaults, order);
}

PictureOptions ReadPictureOptions(const Settings& settings) {
  const auto given = [&](const auto& option) { return settings.OriginOf(option) == Origin::kFlag; };
  PictureOptions result;
  result.prompt = ReadPromptOptions(settings);
  PictureRequest& values = result.values;
  result.fit = ParseFitMode(settings.Get(options::kFit));
  if (const auto number = settings.Get(options::kWidth)) {
    result.file_width = static_cast<int32_t>(*number);
    values.width = PaintedSide(result.file_width, result.fit, "--width");
  }
  result.open.width = !settings.Get(options::kWidth);
  if (const auto number = settings.Get(options::kHeight)) {
    result.file_height = static_cast<int32_t>(*number);
    values.height = PaintedSide(result.file_height, result.fit, "--height");
  }
  result.open.height = !settings.Get(options::kHeight);
  if (const auto number = settings.Get(options::kSteps)) values.steps = static_cast<int32_t>(*number);
  result.open.steps = !settings.Get(options::kSteps);
  values.shift = settings.Get(options::kShift);
  values.guidance_scale = settings.Get(options::kGuidanceScale).value_or(values.guidance_scale);
  result.open.guidance = !settings.Get(options::kGuidanceScale);
  values.cfg_normalization = settings.Get(options::kCfgNormalization);
  values.cfg_truncation = settings.Get(options::kCfgTruncation);
  values.layer = static_cast<int32_t>(settings.Get(options::kHiddenLayer));
  values.long_prompt_mode = ParseLongPromptMode(settings.Get(options::kLongPromptMode));
  values.client = CallerName(settings);
  values.priority = static_cast<int32_t>(settings.Get(options::kPriority));
  values.idempotency_key = settings.Get(options::kIdempotencyKey);
  CheckArgument("--idempotency-key", values.idempotency_key);
  if (values.idempotency_key.size() > kMaxKeyBytes) throw UsageError("--idempotency-key is longer than 120 bytes");
  values.timeout_ms = static_cast<int64_t>(settings.Get(options::kDeadline) * 1000);
  result.width_given = given(options::kWidth);
  result.height_given = given(options::kHeight);
  result.steps_given = given(options::kSteps);
  result.shift_given = given(options::kShift);
  result.guidance_given = given(options::kGuidanceScale);
  result.normalization_given = given(options::kCfgNormalization);
  result.truncation_given = given(options::kCfgTruncation);
  result.layer_given = given(options::kHiddenLayer);
  result.mode_given = given(options::kLongPromptMode);
  // A picture is repeated with its own seed; what the environment says is for new ones.
  const bool repeats = !settings.Get(options::kFromPicture).empty();
  const Origin seed = settings.OriginOf(options::kSeed), seeds = settings.OriginOf(options::kSeeds);
  if (seed >= seeds && (!repeats || given(options::kSeed))) result.seed = settings.Get(options::kSeed);
  if (settings.IsSet(options::kSeeds) && seeds >= seed && (!repeats || given(options::kSeeds))) {
    if (result.seed || given(options::kCount)) {
      throw UsageError("--seeds names the seed of every picture; leave --seed and --count out");
    }
    result.seeds = ParseSeeds(settings.Get(options::kSeeds));
  }
  result.negative_prompt = settings.Get(options::kNegativePrompt);
  result.negative_given = given(options::kNegativePrompt);
  result.count = settings.Get(options::kCount);
  result.count_given = given(options::kCount);
  result.load_embeddings = settings.Get(options::kLoadEmbeddings);
  RefuseEmbeddingsName(result.load_embeddings);
  result.from_picture = settings.Get(options::kFromPicture);
  return result;
}

uint64_t RandomSeed() {
  std::random_device device;
  return std::uniform_int_distribution<uint64_t>(0, UINT32_MAX)(device);
}

PictureOrder MakeOrder(const std::optional<std::string>& prompt, const PictureOptions& options,
                       const DrawSeed& draw_seed, const InputSource& source) {
  PictureOrder order;
  PictureRequest& request = order.request;
  PutLabels(options.values, request);
  if (!options.from_picture.empty()) {
    RepeatedPicture picture = ReadRepeated(options.from_picture, source);
    order.receipt = std::move(picture.receipt);
    order.fit = picture.fit;
    const PictureRequest original = RequestOfReceipt(*order.receipt);
    request = original;
    PutLabels(options.values, request);
    PutNumbers(options, /*all=*/false, request);
    const bool says_prompt = prompt || options.prompt.AnyGiven() || !options.prompt.conversation_file.empty();
    if (!options.load_embeddings.empty()) {
      PutEmbeddings(prompt, options, source, order);
    } else if (request.prompt) {
      request.prompt = ChangePrompt(*request.prompt, prompt, options.prompt, source);
    } else if (says_prompt) {
      request.prompt = MakePrompt(prompt, options.prompt, source);
    } else {
      throw UsageError("the picture was made from embeddings without a prompt; give them with --load-embeddings");
    }
    PutNegative(options, order);
    order.changed = !SamePicture(request, original);
  } else {
    PutNumbers(options, /*all=*/true, request);
    order.open = options.open;
    if (options.load_embeddings.empty()) {
      request.prompt = MakePrompt(prompt, options.prompt, source);
    } else {
      PutEmbeddings(prompt, options, source, order);
    }
    PutNegative(options, order);
    order.seed_drawn = !options.seed && options.seeds.empty();
    if (order.seed_drawn)
      request.seed = request.idempotency_key.empty() ? draw_seed() : SeedOf(request.idempotency_key);
  }
  PutFit(options, order);
  order.shift_given = options.shift_given;
  order.seeds =
      options.seeds.empty() ? FollowingSeeds(request.seed, static_cast<uint64_t>(options.count)) : options.seeds;
  return order;
}

Receipt ReadReceipt(const std::string& file, const InputSource& source) { return ReadRepeated(file, source).receipt; }

}  // namespace diptych
