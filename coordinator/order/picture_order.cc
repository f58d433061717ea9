#include "coordinator/order/picture_order.h"

#include <numeric>
#include <random>
#include <sstream>
#include <utility>

#include "common/conditioning/conditioning_hash.h"
#include "common/config/options.h"
#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/image/picture_file.h"
#include "coordinator/client/saved_embeddings.h"
#include "coordinator/order/seed_list.h"
#include "coordinator/order/wrong_wish.h"

namespace diptych {
namespace {

constexpr size_t kMaxPictureBytes = size_t{128} << 20;
constexpr size_t kMaxSourceBytes = size_t{64} << 20;  // what a renderer takes
constexpr size_t kMaxKeyBytes = 120;                  // the renderer takes 128; of several pictures each gets a number

// The same job again must have the same seed, also where nobody chose one. Below 2^32, as RandomSeed.
uint64_t SeedOf(const std::string& idempotency_key) {
  return std::stoull(Sha256Hex(idempotency_key).substr(0, 8), nullptr, 16);
}

// The values of these members, and the seed that was chosen.
void PutNumbers(const PictureOptions& options, const MemberNames& names, PictureRequest& request) {
  PutMembers(options.members.values, names, request);
  if (options.seed) request.seed = *options.seed;
  if (!options.seeds.empty()) request.seed = options.seeds.front();
}

std::vector<uint64_t> FollowingSeeds(uint64_t first, uint64_t count) {
  if (first > kMaxSeed - (count - 1)) {
    throw WrongWish("--seed " + std::to_string(first) + " leaves no room for " + std::to_string(count) +
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
      throw WrongWish(
          "guidance needs negative embeddings and the file has none; save it with --guidance-scale above 0");
    }
    if (order.negative_given)
      throw WrongWish("--load-embeddings brings its own negative prompt; leave --negative-prompt out");
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
  needs_guidance(options.Given(members::kCfgNormalization.name), options::kCfgNormalization.info);
  needs_guidance(options.Given(members::kCfgTruncation.name), options::kCfgTruncation.info);
  if (!order.open.contains(members::kGuidanceScale.name)) SettleNegative(order);
}

// What does not go together was said by flags.
void SettleSource(PictureSpec& spec) {
  try {
    Settle(spec);
  } catch (const Error& error) {
    throw WrongWish(error.what());
  }
}

// What the picture begins as.
void PutSource(const PictureOptions& options, const InputSource& input, PictureOrder& order) {
  PictureRequest& request = order.request;
  const auto read = [&](const std::string& file) { return ReadInput(file, kMaxSourceBytes, input); };
  if (order.receipt) {  // the files themselves are in no receipt
    const auto ask_for = [&](const InputHash& hash, bool is_given, const char* what, const char* flags) {
      if (hash.empty() || is_given) return;
      throw WrongWish("the picture was made from another file, its " + std::string(what) + " (SHA-256 " +
                      hash.hex.substr(0, 12) + "...); give it with " + flags);
    };
    const char* flag = order.receipt->HasMask() ? "--inpaint FILE" : "--img2img FILE";
    ask_for(order.receipt->source, !options.sources.source.empty(), "source", flag);
    ask_for(order.receipt->mask, !options.sources.mask.empty(), "mask", "--mask FILE");
  }
  const PictureSize size = PutSourceFiles(options.sources, read, request, request.inputs);
  const auto needs = [&](bool given, const OptionInfo& option, bool there, const char* what) {
    if (given && !there) order.notes.push_back(std::string(option.flag) + " has no effect without " + what);
  };
  needs(options.Given(members::kStrength.name), options::kStrength.info, !request.source.empty(),
        "--img2img or --inpaint");
  needs(options.Given(members::kSoftMask.name), options::kSoftMask.info, request.HasMask(),
        "--mask or --mask-from-alpha");
  if (options.sources.source.empty()) return SettleSource(request);
  if (order.receipt && !order.receipt->source.empty()) {
    if (request.source != order.receipt->source)
      order.notes.push_back("the source is not the file that the picture was made from");
    if (request.mask != order.receipt->mask)
      order.notes.push_back("the mask is not the file that the picture was made with");
  } else if (!request.inpaint_crop) {  // of a part that is put back the model says the size
    TakeSizeOf(size, order.open.erase(members::kWidth.name) > 0, order.open.erase(members::kHeight.name) > 0, request);
  }
  SettleSource(request);
}

// The embeddings state their prompt: with it as the label the picture is the same as if the encoder had been asked.
void PutEmbeddings(const std::optional<std::string>& prompt, const PictureOptions& options, const InputSource& source,
                   PictureOrder& order) {
  if (options.Given(members::kLayer.name) || options.prompt.AnyGiven() || !options.prompt.conversation_file.empty()) {
    throw WrongWish("--load-embeddings brings its own prompt and layer; leave out the flags for them");
  }
  SavedEmbeddings saved = LoadEmbeddings(options.load_embeddings, source);
  const bool known = saved.prompt.has_value();
  if (prompt && known && saved.prompt->user != *prompt) {
    throw WrongWish("the embeddings were made from another prompt than the one given; leave PROMPT out");
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
  if (known && !options.Given(members::kLongPromptMode.name)) {
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
  const auto with_name = [&](const auto& read) {
    try {
      return read();
    } catch (const Error& error) {
      throw Error(error.code(), InputName(file) + ": " + error.what());
    }
  };
  const InputHead head{kPictureSignatureBytes,
                       [&](std::string_view begin) { with_name([&] { return KnownPictureFormat(begin); }); }};
  const std::string bytes = ReadInput(file, kMaxPictureBytes, source, head);
  return with_name([&] {
    const PictureText texts = ReadPictureText(bytes);
    return RepeatedPicture{FindReceipt(texts), FindFit(texts)};
  });
}

// The file's size: by flag, else that of the picture that is repeated, else what is painted.
void PutFit(const PictureOptions& options, PictureOrder& order) {
  PictureFit fit = order.fit.value_or(PictureFit{FitMode::kNone, order.request.width, order.request.height});
  const bool all = !order.receipt;
  if (options.fit != FitMode::kNone) fit.mode = options.fit;
  if ((all || options.Given(members::kWidth.name)) && !options.members.open.contains(members::kWidth.name))
    fit.width = options.file_width;
  if ((all || options.Given(members::kHeight.name)) && !options.members.open.contains(members::kHeight.name))
    fit.height = options.file_height;
  order.fit.reset();
  if (fit.mode == FitMode::kNone || (fit.width == order.request.width && fit.height == order.request.height)) return;
  order.fit = fit;
}

// Throws WrongWish for flags that do not go together.
void ReadSource(const Settings& settings, PictureOptions& options) {
  const std::string &img2img = settings.Get(options::kImg2Img), &inpaint = settings.Get(options::kInpaint);
  PictureSpec& values = options.members.values;
  if (!img2img.empty() && !inpaint.empty()) throw WrongWish("--img2img and --inpaint each name the source; give one");
  options.sources = {.source = img2img.empty() ? inpaint : img2img, .mask = settings.Get(options::kMask)};
  const std::string& fit = settings.Get(options::kFit);
  const std::string& extend = settings.Get(options::kExtend);
  const bool given = settings.OriginOf(options::kExtend) != Origin::kDefault && !extend.empty();
  if (given) {
    try {
      const Extend sides = ParseExtend(extend);
      values.extend_left = sides.left;
      values.extend_top = sides.top;
      values.extend_right = sides.right;
      values.extend_bottom = sides.bottom;
    } catch (const Error& error) {
      throw WrongWish(std::string("--extend: ") + error.what());
    }
    for (const std::string_view side : {members::kExtendLeft.name, members::kExtendTop.name, members::kExtendRight.name,
                                        members::kExtendBottom.name}) {
      options.members.options.insert(side);
      if (settings.OriginOf(options::kExtend) == Origin::kFlag) options.members.given.insert(side);
    }
  }
  const bool masked = !options.sources.mask.empty() || values.mask_from_alpha || values.Extends().Any();
  if (options.sources.source.empty()) {
    const auto wants_source = [&](bool is_given, const OptionInfo& option) {
      if (is_given) throw WrongWish(std::string(option.flag) + " needs the picture that it is about: --inpaint FILE");
    };
    const bool repeats = !settings.Get(options::kFromPicture).empty();  // which may bring its own
    wants_source(!options.sources.mask.empty(), options::kMask.info);
    wants_source(values.mask_from_alpha && !repeats, options::kMaskFromAlpha.info);
    wants_source(given && !repeats, options::kExtend.info);
    wants_source(values.inpaint_crop.has_value() && !repeats, options::kInpaintCrop.info);
    if (fit == "stretch") throw WrongWish("--fit stretch is for a source picture: --img2img FILE or --inpaint FILE");
    return;
  }
  if (!inpaint.empty() && !masked && settings.Get(options::kFromPicture).empty()) {
    throw WrongWish("--inpaint needs to know where: --mask FILE, --mask-from-alpha or --extend LEFT,TOP,RIGHT,BOTTOM");
  }
  if (settings.OriginOf(options::kFit) != Origin::kDefault) {
    values.source_fit = fit == "crop" ? SourceFit::kCrop : fit == "pad" ? SourceFit::kPad : SourceFit::kStretch;
    options.members.options.insert(members::kSourceFit.name);
    if (settings.OriginOf(options::kFit) == Origin::kFlag) options.members.given.insert(members::kSourceFit.name);
  }
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

void CheckClient(const std::string& name) {
  CheckArgument("--client", name);
  if (name.size() > kMaxClientBytes) throw WrongWish("--client is longer than 64 bytes");
}

void RefuseEmbeddingsName(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    throw WrongWish(file + " is a folder; name a .safetensors file in it");
  try {
    (void)EmbeddingsPath(file);
  } catch (const Error& error) {
    throw WrongWish(error.what());
  }
}

void Complete(const RendererDescription& renderer, PictureOrder& order) {
  const ModelDefaultsView& defaults = renderer.defaults;
  PictureRequest& request = order.request;
  const auto open = [&](const auto& member) { return order.open.contains(member.name); };
  if (open(members::kWidth)) request.width = defaults.width;
  if (open(members::kHeight)) request.height = defaults.height;
  if (open(members::kWidth) && order.fit) order.fit->width = request.width;
  if (open(members::kHeight) && order.fit) order.fit->height = request.height;
  if (open(members::kSteps)) request.steps = defaults.steps;
  if (open(members::kGuidanceScale)) {
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
  result.members = ReadMembers(settings);
  PictureSpec& values = result.members.values;
  ReadSource(settings, result);
  result.fit = result.sources.source.empty() ? ParseFitMode(settings.Get(options::kFit)) : FitMode::kNone;
  if (const auto number = settings.Get(options::kWidth)) {
    result.file_width = static_cast<int32_t>(*number);
    values.width = PaintedSide(result.file_width, result.fit, "--width");
  }
  if (const auto number = settings.Get(options::kHeight)) {
    result.file_height = static_cast<int32_t>(*number);
    values.height = PaintedSide(result.file_height, result.fit, "--height");
  }
  result.labels.client = settings.Get(options::kClient);
  CheckClient(result.labels.client);
  result.labels.priority = static_cast<int32_t>(settings.Get(options::kPriority));
  result.labels.idempotency_key = settings.Get(options::kIdempotencyKey);
  CheckArgument("--idempotency-key", result.labels.idempotency_key);
  if (result.labels.idempotency_key.size() > kMaxKeyBytes)
    throw WrongWish("--idempotency-key is longer than 120 bytes");
  result.labels.timeout_ms = static_cast<int64_t>(settings.Get(options::kDeadline) * 1000);
  // A picture is repeated with its own seed; what the environment says is for new ones.
  const bool repeats = !settings.Get(options::kFromPicture).empty();
  const Origin seed = settings.OriginOf(options::kSeed), seeds = settings.OriginOf(options::kSeeds);
  if (seed >= seeds && (!repeats || given(options::kSeed))) result.seed = settings.Get(options::kSeed);
  if (settings.IsSet(options::kSeeds) && seeds >= seed && (!repeats || given(options::kSeeds))) {
    if (result.seed || given(options::kCount)) {
      throw WrongWish("--seeds names the seed of every picture; leave --seed and --count out");
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
  static_cast<JobLabels&>(request) = options.labels;
  if (!options.from_picture.empty()) {
    RepeatedPicture picture = ReadRepeated(options.from_picture, source);
    order.receipt = std::move(picture.receipt);
    order.fit = picture.fit;
    static_cast<PictureSpec&>(request) = *order.receipt;
    PutNumbers(options, options.members.given, request);
    const bool says_prompt = prompt || options.prompt.AnyGiven() || !options.prompt.conversation_file.empty();
    if (!options.load_embeddings.empty()) {
      PutEmbeddings(prompt, options, source, order);
    } else if (request.prompt) {
      request.prompt = ChangePrompt(*request.prompt, prompt, options.prompt, source);
    } else if (says_prompt) {
      request.prompt = MakePrompt(prompt, options.prompt, source);
    } else {
      throw WrongWish("the picture was made from embeddings without a prompt; give them with --load-embeddings");
    }
    PutNegative(options, order);
    PutSource(options, source, order);
    order.changed = static_cast<const PictureSpec&>(request) != *order.receipt;
  } else {
    PutNumbers(options, options.members.options, request);
    order.open = options.members.open;
    if (options.load_embeddings.empty()) {
      request.prompt = MakePrompt(prompt, options.prompt, source);
    } else {
      PutEmbeddings(prompt, options, source, order);
    }
    PutNegative(options, order);
    PutSource(options, source, order);
    order.seed_drawn = !options.seed && options.seeds.empty();
    if (order.seed_drawn)
      request.seed = request.idempotency_key.empty() ? draw_seed() : SeedOf(request.idempotency_key);
  }
  PutFit(options, order);
  order.shift_given = options.Given(members::kShift.name);
  order.seeds =
      options.seeds.empty() ? FollowingSeeds(request.seed, static_cast<uint64_t>(options.count)) : options.seeds;
  return order;
}

Receipt ReadReceipt(const std::string& file, const InputSource& source) { return ReadRepeated(file, source).receipt; }

}  // namespace diptych
