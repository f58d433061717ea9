// A LoRA file as additions to layers of the transformer, whatever its writer: which layer, by which formula, from which
// tensors, by what factor. Names, shapes, types and the few bytes of alpha are read, no other value.
//
// Matrices may be stored as convolutions of one pixel, [out, in, 1, 1].
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/lora/lora_keys.h"
#include "common/weights/safetensors.h"

namespace diptych {

// up [out, r] · mid [r, r] · down [r, in]
struct LowRankChange {
  const TensorEntry* up;
  const TensorEntry* mid;  // nullptr: none
  const TensorEntry* down;
};

// a [rows, r] · b [r, columns]; without b: a [rows, columns] as it stands.
struct LoraFactor {
  const TensorEntry* a;
  const TensorEntry* b;  // nullptr: a is the whole
};

// LoHa: (w1.a · w1.b) * (w2.a · w2.b), element by element; both [out, in], both of the part's rank.
struct HadamardChange {
  LoraFactor w1, w2;
};

// LoKr: kron(w1, w2), w1 [o1, i1], w2 [o2, i2] with o1·o2 = out and i1·i2 = in: element [o, i] is
// w1[o / o2, i / i2] · w2[o % o2, i % i2].
struct KroneckerChange {
  LoraFactor w1, w2;
};

// The difference itself, [out, in].
struct FullChange {
  const TensorEntry* difference;
};

// To be added to the layer's bias, [out]; to a bias of zeros where it has none.
struct BiasChange {
  const TensorEntry* difference;
};

// DoRA. With V = W + scale · change the layer's weight becomes V · m / norm (so at strength w: W + w · (that - W)); m
// is per row of the matrix, [out] or [out, 1], or per column, [1, in].
struct LoraMagnitude {
  const TensorEntry* tensor;
  bool is_by_row;
  // dora_scale by row is trained by some against the norms of V's rows, as PEFT's vector is, by others against those of
  // W's: either is right for it. By column it is always V's.
  bool is_pefts;
};

// An addition to one layer: rows [first_row, first_row + rows) of scale · change. All of a change's rows are the
// layer's but where a file has q, k and v in one: then three parts share their tensors. Shapes fit the layer and each
// other.
struct LoraPart {
  std::string module;
  std::variant<LowRankChange, HadamardChange, KroneckerChange, FullChange, BiasChange> change;
  double scale;  // finite; alpha / rank where the file has an alpha or PEFT's settings, else 1
  int64_t rank;  // 0: no factors
  int64_t first_row, rows, columns;
  // nullptr tensor: none. m of a fused matrix has its rows, of which this part's are as above.
  LoraMagnitude magnitude;
};

// Why a tensor of the file has no effect.
enum class NotUsed {
  kNoSuchLayer,    // it is for a layer that the transformer does not have
  kUnknownKind,    // nothing that is known as a part of a LoRA
  kSaidElsewhere,  // the same layer's addition stands in the file under its own name, too
  kAlone,          // an alpha or a magnitude without an addition
};
std::string_view Reason(NotUsed why);  // for behind the name: "the transformer has no such layer"

struct UnusedTensor {
  std::string name;  // foreign text
  NotUsed why;
};

struct LoraFile {
  std::shared_ptr<const SafetensorsFile> file;  // what the parts point into
  std::vector<LoraPart> parts;                  // by module; at most one change of weights and one of the bias each
  size_t used = 0;                              // tensors in effect; with the two lists below all of the file's
  std::vector<UnusedTensor> unused;             // by name
  std::vector<std::string> text_encoder;        // tensors for a text encoder, by name; they have no effect
  int64_t least_rank = 0, greatest_rank = 0;    // of all parts that have one
  std::vector<std::string> trigger_words;       // from the metadata, as TriggerWords; foreign text
  std::string base_model;                       // likewise, as BaseModel
};

// Throws Error(kInvalidArgument), one line that begins with the path: for a file that has nothing for any of the
// modules, with what it seems to be; for an addition to a module that does not fit it (of another width), lacks a half,
// has ranks that differ, an alpha that is no finite number, values that are no floating-point numbers, or is there
// twice and not the same. What is for other layers is never judged.
LoraFile ReadLora(std::shared_ptr<const SafetensorsFile> file, const LoraModules& modules);

}  // namespace diptych
