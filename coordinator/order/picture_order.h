// From settings and a prompt to the pictures that they ask for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/settings.h"
#include "common/receipt/receipt.h"
#include "coordinator/client/job.h"
#include "coordinator/input.h"
#include "coordinator/order/member_settings.h"
#include "coordinator/order/picture_fit.h"
#include "coordinator/order/prompt_options.h"
#include "coordinator/order/source_files.h"

namespace diptych {

// The options that determine a picture, with a note of which were given by flags.
struct PictureOptions {
  PromptOptions prompt;
  MemberSettings members;  // the sizes as they are painted; the seed is separate
  JobLabels labels;        // the client's name is what the settings say; empty where they leave it to the front
  FitMode fit = FitMode::kNone;
  int32_t file_width = 0, file_height = 0;  // pixels, as the user gave them; 0 where left open
  // By flag.
  bool Given(std::string_view member) const { return members.given.contains(member); }
  std::optional<uint64_t> seed;
  std::vector<uint64_t> seeds;  // of --seeds; empty: not given
  std::string negative_prompt;
  bool negative_given = false;
  int64_t count = 1;
  bool count_given = false;
  std::string load_embeddings;  // a file; empty: none
  std::string from_picture;     // a file; empty: none
  SourceFiles sources;          // what the picture begins as
};
// Throws WrongWish for a name that is not UTF-8 or longer than 64 bytes.
void CheckClient(const std::string& name);

// Throws WrongWish for the name of a pickle or a folder.
void RefuseEmbeddingsName(const std::string& file);
PictureOptions ReadPictureOptions(const Settings& settings);  // throws WrongWish

// One prompt, and every seed that it is painted with.
struct PictureOrder {
  PictureRequest request;                   // of the first picture; the others differ in their seed
  MemberNames open;                         // what nobody states, and Complete fills in
  PromptParts negative;                     // the prompt that guidance takes where there is none yet
  bool negative_given = false;              // by flag
  std::vector<std::string> guidance_flags;  // that were given and have an effect with guidance only
  std::vector<uint64_t> seeds;              // one a picture, at least one
  bool seed_drawn = false;                  // the first one, at random, since nobody gave one
  std::optional<Receipt> receipt;           // of the picture that is repeated
  bool shift_given = false;                 // by flag
  bool changed = false;                     // the request differs from the receipt
  std::optional<PictureFit> fit;            // the file has another size than what is painted
  std::vector<std::string> notes;           // what the user should know, one line each
};

// The negative prompt has neither system nor thinking text, only the think block and cleaning of the positive one.
// Throws WrongWish for text that is not UTF-8.
PromptParts NegativePrompt(const std::string& text, const std::optional<PromptParts>& positive);

// Fills in what was left open by what the renderer's model is made for, and settles the negative prompt by it. A
// picture that is repeated in another size gets the shift of that size where the shift follows it. Adds to the notes,
// also about a size that the model is not made for. Throws WrongWish where guidance and embeddings do not go together.
void Complete(const RendererDescription& renderer, PictureOrder& order);

// Draws a seed; smaller than 2^32, so that it is easily typed again.
using DrawSeed = std::function<uint64_t()>;
uint64_t RandomSeed();

// Reads the files that the options name. Throws WrongWish for options that do not go together and seeds beyond 2^64 -
// 1, Error for files that cannot be used.
PictureOrder MakeOrder(const std::optional<std::string>& prompt, const PictureOptions& options,
                       const DrawSeed& draw_seed, const InputSource& source = {});

// The receipt of a PNG, JPEG or WebP file. Throws Error: kNotFound (no such file, or no receipt in it), kDataLoss,
// kInvalidArgument, kCancelled.
Receipt ReadReceipt(const std::string& file, const InputSource& source = {});

}  // namespace diptych
