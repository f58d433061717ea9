#include "common/lora/lora_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"
#include "common/lora/lora_metadata.h"
#include "common/lora/other_lora.h"

namespace diptych {
namespace {

struct Matrix {
  int64_t rows, columns;
};

// nullopt: no matrix.
std::optional<Matrix> MatrixOf(const TensorEntry& tensor) {
  const std::vector<int64_t>& shape = tensor.shape;
  const bool is_kernel = shape.size() == 4 && shape[2] == 1 && shape[3] == 1;
  if (shape.size() != 2 && !is_kernel) return std::nullopt;
  return Matrix{shape[0], shape[1]};
}

bool IsFloat(Dtype dtype) {
  switch (dtype) {
    case Dtype::F64:
    case Dtype::F32:
    case Dtype::F16:
    case Dtype::BF16:
    case Dtype::F8_E4M3:
    case Dtype::F8_E5M2:
      return true;
    default:
      return false;
  }
}

template <typename Number>
Number Load(const uint8_t* data) {
  Number number;
  std::memcpy(&number, data, sizeof(number));
  return number;
}

double HalfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const double mantissa = bits & 0x3ff;
  double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  if (exponent == 0x1f) value = mantissa == 0 ? HUGE_VAL : NAN;
  return (bits & 0x8000) != 0 ? -value : value;
}

// Of one element; nullopt: of a type that no alpha has.
std::optional<double> ScalarValue(const TensorEntry& tensor) {
  switch (tensor.dtype) {
    case Dtype::F64:
      return Load<double>(tensor.data);
    case Dtype::F32:
      return Load<float>(tensor.data);
    case Dtype::F16:
      return HalfValue(Load<uint16_t>(tensor.data));
    case Dtype::BF16: {
      const uint32_t bits = static_cast<uint32_t>(Load<uint16_t>(tensor.data)) << 16;
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      return value;
    }
    case Dtype::I64:
      return static_cast<double>(Load<int64_t>(tensor.data));
    case Dtype::I32:
      return Load<int32_t>(tensor.data);
    default:
      return std::nullopt;
  }
}

bool IsSame(const TensorEntry& a, const TensorEntry& b) {
  return a.dtype == b.dtype && a.shape == b.shape && a.byte_count == b.byte_count &&
         std::equal(a.data, a.data + a.byte_count, b.data);
}

using Roles = std::map<LoraRole, const TensorEntry*>;

const TensorEntry* Find(const Roles& roles, LoraRole role) {
  const auto found = roles.find(role);
  return found == roles.end() ? nullptr : found->second;
}

enum class Kind { kLowRank, kHadamard, kKronecker, kFull };

// nullopt: of no kind in particular.
std::optional<Kind> KindOf(LoraRole role) {
  switch (role) {
    case LoraRole::kDown:
    case LoraRole::kUp:
    case LoraRole::kMid:
    case LoraRole::kUpBias:
      return Kind::kLowRank;
    case LoraRole::kHadaW1A:
    case LoraRole::kHadaW1B:
    case LoraRole::kHadaW2A:
    case LoraRole::kHadaW2B:
      return Kind::kHadamard;
    case LoraRole::kLokrW1:
    case LoraRole::kLokrW1A:
    case LoraRole::kLokrW1B:
    case LoraRole::kLokrW2:
    case LoraRole::kLokrW2A:
    case LoraRole::kLokrW2B:
      return Kind::kKronecker;
    case LoraRole::kDifference:
      return Kind::kFull;
    default:
      return std::nullopt;
  }
}

// One file's reading.
class Reader {
 public:
  Reader(std::shared_ptr<const SafetensorsFile> file, const LoraModules& modules) : targets_(modules) {
    lora_.file = std::move(file);
  }

  LoraFile Read() {
    Sort();
    if (groups_.empty()) RefuseOther();
    PreferOwnNames();
    DropFusedBesideSplit();
    try {
      settings_.emplace(lora_.file->metadata());
    } catch (const Error& error) {
      Refuse(error.what());
    }
    for (const auto& [key, roles] : groups_) AddParts(*key.first, roles);
    if (lora_.parts.empty()) RefuseOther();
    Finish();
    return std::move(lora_);
  }

 private:
  // By the layer, and whether it goes by its own name; in the order of the layers.
  using Key = std::pair<const LoraTarget*, bool>;
  using Groups = std::map<Key, Roles>;

  [[noreturn]] void Refuse(const std::string& why) const {
    throw Error(ErrorCode::kInvalidArgument, lora_.file->path() + ": " + why);
  }
  [[noreturn]] void Refuse(const TensorEntry& tensor, const std::string& why) const {
    Refuse("tensor " + ForeignText(tensor.name) + ": " + why);
  }

  [[noreturn]] void RefuseOther() const {
    std::vector<std::string_view> names;
    for (const auto& [name, tensor] : lora_.file->tensors()) names.push_back(name);
    std::string example;
    if (!names.empty()) example = ", such as " + ForeignText(names[0]) + ",";
    Refuse("nothing in it is for a layer of the transformer; this is " + SeemsToBe(names) + " (" +
           std::to_string(names.size()) + " tensors" + example + "); give a LoRA of Z-Image");
  }

  void Unused(const std::string& name, NotUsed why) { lora_.unused.push_back({name, why}); }
  void Unused(const Roles& roles, NotUsed why) {
    for (const auto& [role, tensor] : roles) Unused(tensor->name, why);
  }

  // Each tensor to its layer.
  void Sort() {
    for (const auto& [name, tensor] : lora_.file->tensors()) {
      const std::optional<LoraKey> key = ParseLoraKey(name);
      const LoraTargets::Found found = key ? targets_.Find(key->layer) : LoraTargets::Found{nullptr, false};
      if (found.target != nullptr) {
        const auto [known, is_new] = groups_[{found.target, found.is_own_name}].emplace(key->role, &tensor);
        if (is_new) continue;
        if (!IsSame(*known->second, tensor)) {
          Refuse(tensor, "tensor " + ForeignText(known->second->name) + " is the same part of the layer " +
                             found.target->name + " with other values; give a file with one of them");
        }
        Unused(name, NotUsed::kSaidElsewhere);
      } else if (IsOfTextEncoder(name)) {
        lora_.text_encoder.push_back(name);
      } else {
        Unused(name, key ? NotUsed::kNoSuchLayer : NotUsed::kUnknownKind);
      }
    }
  }

  static bool HasChange(const Roles& roles) {
    return std::any_of(roles.begin(), roles.end(), [](const auto& entry) {
      return KindOf(entry.first).has_value() || entry.first == LoraRole::kBias;
    });
  }

  // Some files have attention.out beside attention.to_out.0: the same again.
  void PreferOwnNames() {
    for (auto group = groups_.begin(); group != groups_.end();) {
      const auto& [target, is_own_name] = group->first;
      const auto own = groups_.find({target, true});
      if (is_own_name || own == groups_.end() || !HasChange(own->second)) {
        ++group;
        continue;
      }
      Unused(group->second, NotUsed::kSaidElsewhere);
      group = groups_.erase(group);
    }
  }

  // Some have attention.qkv beside attention.to_q, to_k and to_v, in another form: the split ones count, as in
  // diffusers.
  void DropFusedBesideSplit() {
    std::map<std::string_view, const TensorEntry*> changed;  // modules, by name, with a tensor that does
    for (const auto& [key, roles] : groups_) {
      if (key.first->rows.size() == 1 && HasChange(roles)) changed.emplace(key.first->name, roles.begin()->second);
    }
    for (auto group = groups_.begin(); group != groups_.end();) {
      const std::vector<LoraRows>& rows = group->first.first->rows;
      const auto is_changed = [&](const LoraRows& one) { return changed.contains(one.module); };
      if (rows.size() == 1 || !HasChange(group->second) || std::none_of(rows.begin(), rows.end(), is_changed)) {
        ++group;
        continue;
      }
      if (!std::all_of(rows.begin(), rows.end(), is_changed)) {
        const auto one = std::find_if(rows.begin(), rows.end(), is_changed);
        Refuse(*group->second.begin()->second,
               "q, k and v in one, and tensor " + ForeignText(changed.at(one->module)->name) +
                   " is for one of them; give a file with all three or with one for all");
      }
      Unused(group->second, NotUsed::kSaidElsewhere);
      group = groups_.erase(group);
    }
  }

  // --- one layer ---

  void AddParts(const LoraTarget& target, const Roles& roles) {
    std::optional<Kind> kind;
    const TensorEntry* first = nullptr;
    for (const auto& [role, tensor] : roles) {
      const std::optional<Kind> of_role = KindOf(role);
      if (role == LoraRole::kTucker)
        Refuse(*tensor, "the core of a convolution, which the layer " + target.name + " is not");
      if (!of_role) continue;
      if (kind && *kind != *of_role) {
        Refuse(*tensor, "another kind of addition to the layer " + target.name + " than tensor " +
                            ForeignText(first->name) + "; give a file with one of them");
      }
      kind = of_role;
      if (first == nullptr) first = tensor;
    }
    of_layer_ = first;
    Roles left = roles;  // what is not used yet
    if (kind) {
      LoraPart part = WeightPart(*kind, target, left);
      if (const TensorEntry* bias = Take(left, LoraRole::kUpBias)) AddBias(target, *bias, part.scale);
      AddRows(target, std::move(part));
    }
    if (const TensorEntry* bias = Take(left, LoraRole::kBias)) {
      if (Find(roles, LoraRole::kUpBias) != nullptr) {
        Refuse(*bias, "another addition to the bias of the layer " + target.name + " than tensor " +
                          ForeignText(Find(roles, LoraRole::kUpBias)->name));
      }
      AddBias(target, *bias, 1);
    }
    lora_.used += roles.size() - left.size();
    Unused(left, NotUsed::kAlone);
  }

  static const TensorEntry* Take(Roles& left, LoraRole role) {
    const TensorEntry* tensor = Find(left, role);
    left.erase(role);
    return tensor;
  }

  LoraPart WeightPart(Kind kind, const LoraTarget& target, Roles& left) {
    LoraPart part{.module = "",
                  .change = FullChange{nullptr},
                  .scale = 1,
                  .rank = 0,
                  .first_row = 0,
                  .rows = target.out,
                  .columns = target.in,
                  .magnitude = {nullptr, false, false}};
    switch (kind) {
      case Kind::kLowRank:
        ReadLowRank(target, left, part);
        break;
      case Kind::kHadamard:
        ReadHadamard(target, left, part);
        break;
      case Kind::kKronecker:
        ReadKronecker(target, left, part);
        break;
      case Kind::kFull: {
        const TensorEntry& difference = *Take(left, LoraRole::kDifference);
        Expect(difference, {target.out, target.in});
        part.change = FullChange{&difference};
        return part;  // neither alpha nor a magnitude belongs to it
      }
    }
    ReadMagnitude(target, left, part);
    return part;
  }

  void ReadLowRank(const LoraTarget& target, Roles& left, LoraPart& part) {
    const TensorEntry& up = Half(target, left, LoraRole::kUp);
    const TensorEntry& down = Half(target, left, LoraRole::kDown);
    const TensorEntry* mid = Take(left, LoraRole::kMid);
    part.rank = Rank(target, up, down);
    if (mid != nullptr) Expect(*mid, {part.rank, part.rank});
    part.change = LowRankChange{&up, mid, &down};
    const std::optional<double> alpha = Alpha(left);
    part.scale = alpha ? *alpha / static_cast<double>(part.rank) : settings_->Scale(target.name, part.rank).value_or(1);
    CheckScale(target, part.scale);
  }

  void ReadHadamard(const LoraTarget& target, Roles& left, LoraPart& part) {
    const LoraFactor w1{&Half(target, left, LoraRole::kHadaW1A), &Half(target, left, LoraRole::kHadaW1B)};
    const LoraFactor w2{&Half(target, left, LoraRole::kHadaW2A), &Half(target, left, LoraRole::kHadaW2B)};
    part.rank = Rank(target, *w1.a, *w1.b);
    if (const int64_t other = Rank(target, *w2.a, *w2.b); other != part.rank) {
      Refuse(*w2.a, "of rank " + std::to_string(other) + ", but tensor " + ForeignText(w1.a->name) + " of rank " +
                        std::to_string(part.rank));
    }
    part.change = HadamardChange{w1, w2};
    if (const std::optional<double> alpha = Alpha(left)) part.scale = *alpha / static_cast<double>(part.rank);
    CheckScale(target, part.scale);
  }

  void ReadKronecker(const LoraTarget& target, Roles& left, LoraPart& part) {
    int64_t rank1 = 0, rank2 = 0;
    Matrix shape1{}, shape2{};
    const LoraFactor w1 =
        KroneckerFactor(target, left, {LoraRole::kLokrW1, LoraRole::kLokrW1A, LoraRole::kLokrW1B}, shape1, rank1);
    const LoraFactor w2 =
        KroneckerFactor(target, left, {LoraRole::kLokrW2, LoraRole::kLokrW2A, LoraRole::kLokrW2B}, shape2, rank2);
    const auto fits = [](int64_t a, int64_t b, int64_t whole) {
      int64_t product = 0;
      return !__builtin_mul_overflow(a, b, &product) && product == whole && a > 0 && b > 0;
    };
    if (!fits(shape1.rows, shape2.rows, target.out) || !fits(shape1.columns, shape2.columns, target.in)) {
      const auto text = [](Matrix shape) { return ShapeText(std::array<int64_t, 2>{shape.rows, shape.columns}); };
      Refuse(*w2.a, "the layer " + target.name + ": expected factors whose product is " +
                        text({target.out, target.in}) + ", found " + text(shape1) + " and " + text(shape2) +
                        "; it is for a model of another width");
    }
    part.change = KroneckerChange{w1, w2};
    part.rank = rank2 > 0 ? rank2 : rank1;
    if (part.rank == 0) {
      left.erase(LoraRole::kAlpha);  // of no meaning then; some trainers write 10^10
    } else if (const std::optional<double> alpha = Alpha(left)) {
      part.scale = *alpha / static_cast<double>(part.rank);
      CheckScale(target, part.scale);
    }
  }

  // `roles`: the whole, a, b.
  LoraFactor KroneckerFactor(const LoraTarget& target, Roles& left, const std::array<LoraRole, 3>& roles, Matrix& shape,
                             int64_t& rank) const {
    const TensorEntry* whole = Find(left, roles[0]);
    if (whole == nullptr) {
      if (Find(left, roles[1]) == nullptr && Find(left, roles[2]) == nullptr) Half(target, left, roles[0]);
      const TensorEntry& a = Half(target, left, roles[1]);
      const TensorEntry& b = Half(target, left, roles[2]);
      const Matrix of_a = Floats(a), of_b = Floats(b);
      rank = CommonRank(a, of_a.columns, b, of_b.rows);
      shape = {of_a.rows, of_b.columns};
      return {&a, &b};
    }
    for (const LoraRole role : {roles[1], roles[2]}) {
      if (const TensorEntry* factor = Find(left, role)) {
        Refuse(*factor, "tensor " + ForeignText(whole->name) + " is the whole of it already");
      }
    }
    left.erase(roles[0]);
    shape = Floats(*whole);
    return {whole, nullptr};
  }

  void ReadMagnitude(const LoraTarget& target, Roles& left, LoraPart& part) const {
    const TensorEntry* pefts = Take(left, LoraRole::kPeftMagnitude);
    const TensorEntry* scale = Take(left, LoraRole::kDoraScale);
    if (pefts != nullptr && scale != nullptr) {
      Refuse(*scale, "tensor " + ForeignText(pefts->name) + " is the same part of the layer " + target.name);
    }
    const TensorEntry* tensor = pefts != nullptr ? pefts : scale;
    if (tensor == nullptr) return;
    CheckFloat(*tensor);
    const std::vector<int64_t>& shape = tensor->shape;
    const auto all_one = [&](size_t from) {
      return std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(from), shape.end(),
                         [](int64_t n) { return n == 1; });
    };
    const bool is_by_row = !shape.empty() && shape[0] == target.out && all_one(1);
    const bool is_by_column = shape.size() >= 2 && shape[0] == 1 && shape[1] == target.in && all_one(2);
    if (!is_by_row && (!is_by_column || pefts != nullptr)) {
      Refuse(*tensor, "expected [" + std::to_string(target.out) + "]" +
                          (pefts != nullptr ? "" : " or [1, " + std::to_string(target.in) + "]") + ", found " +
                          ShapeText(shape).substr(0, 200));
    }
    if (!is_by_row && target.rows.size() > 1) {
      Refuse(*tensor, "magnitudes by column of q, k and v in one, whose norms no one of them has; this is not read");
    }
    part.magnitude = {tensor, is_by_row, pefts != nullptr};
  }

  void AddRows(const LoraTarget& target, const LoraPart& whole) {
    for (const LoraRows& rows : target.rows) {
      LoraPart part = whole;
      part.module = rows.module;
      part.first_row = rows.first_row;
      part.rows = rows.rows;
      lora_.parts.push_back(std::move(part));
    }
  }

  void AddBias(const LoraTarget& target, const TensorEntry& bias, double scale) {
    CheckFloat(bias);
    if (bias.shape != std::vector<int64_t>{target.out}) {
      Refuse(bias, "expected [" + std::to_string(target.out) + "], found " + ShapeText(bias.shape).substr(0, 200));
    }
    AddRows(target, {.module = "",
                     .change = BiasChange{&bias},
                     .scale = scale,
                     .rank = 0,
                     .first_row = 0,
                     .rows = target.out,
                     .columns = 1,
                     .magnitude = {nullptr, false, false}});
  }

  // --- one tensor ---

  const TensorEntry& Half(const LoraTarget& target, Roles& left, LoraRole role) const {
    if (const TensorEntry* tensor = Take(left, role)) return *tensor;
    const std::string missing =
        "the addition to the layer " + target.name + " lacks its " + std::string(RoleName(role));
    Refuse(*of_layer_, missing);
  }

  void CheckFloat(const TensorEntry& tensor) const {
    if (IsFloat(tensor.dtype)) return;
    Refuse(tensor, "expected floating-point numbers, found " + ForeignText(tensor.dtype_name()));
  }

  Matrix Floats(const TensorEntry& tensor) const {
    CheckFloat(tensor);
    const std::optional<Matrix> matrix = MatrixOf(tensor);
    if (!matrix) Refuse(tensor, "expected a matrix, found " + ShapeText(tensor.shape).substr(0, 200));
    return *matrix;
  }

  void Expect(const TensorEntry& tensor, const Matrix& shape) const {
    const Matrix found = Floats(tensor);
    if (found.rows == shape.rows && found.columns == shape.columns) return;
    Refuse(tensor, "expected " + ShapeText(std::array<int64_t, 2>{shape.rows, shape.columns}) + ", found " +
                       ShapeText(tensor.shape));
  }

  // Of a [out, rank] · b [rank, in].
  int64_t Rank(const LoraTarget& target, const TensorEntry& a, const TensorEntry& b) const {
    const Matrix of_a = Floats(a), of_b = Floats(b);
    const char* why = "; it is for a model of another width";
    if (of_b.columns != target.in) {
      Refuse(b, "expected [rank, " + std::to_string(target.in) + "], found " + ShapeText(b.shape) + why);
    }
    if (of_a.rows != target.out) {
      Refuse(a, "expected [" + std::to_string(target.out) + ", rank], found " + ShapeText(a.shape) + why);
    }
    return CommonRank(a, of_a.columns, b, of_b.rows);
  }

  int64_t CommonRank(const TensorEntry& a, int64_t of_a, const TensorEntry& b, int64_t of_b) const {
    if (of_a != of_b) {
      Refuse(a, "of rank " + std::to_string(of_a) + ", but tensor " + ForeignText(b.name) + " of rank " +
                    std::to_string(of_b));
    }
    if (of_a < 1) Refuse(a, "of rank 0, expected 1 or more");
    return of_a;
  }

  std::optional<double> Alpha(Roles& left) const {
    const TensorEntry* alpha = Take(left, LoraRole::kAlpha);
    if (alpha == nullptr) return std::nullopt;
    if (std::any_of(alpha->shape.begin(), alpha->shape.end(), [](int64_t n) { return n != 1; })) {
      Refuse(*alpha, "expected one number, [] or [1], found " + ShapeText(alpha->shape).substr(0, 200));
    }
    const std::optional<double> value = ScalarValue(*alpha);
    if (!value) Refuse(*alpha, "expected a floating-point number, found " + ForeignText(alpha->dtype_name()));
    if (!std::isfinite(*value)) Refuse(*alpha, "expected a finite number, found " + std::to_string(*value));
    return value;
  }

  void CheckScale(const LoraTarget& target, double scale) const {
    if (!std::isfinite(scale)) Refuse("the layer " + target.name + ": its factor, alpha / rank, is no finite number");
  }

  // --- the whole file ---

  void Finish() {
    std::stable_sort(lora_.parts.begin(), lora_.parts.end(),
                     [](const LoraPart& a, const LoraPart& b) { return a.module < b.module; });
    std::sort(lora_.unused.begin(), lora_.unused.end(),
              [](const UnusedTensor& a, const UnusedTensor& b) { return a.name < b.name; });
    for (const LoraPart& part : lora_.parts) {
      if (part.rank == 0) continue;
      lora_.least_rank = lora_.least_rank == 0 ? part.rank : std::min(lora_.least_rank, part.rank);
      lora_.greatest_rank = std::max(lora_.greatest_rank, part.rank);
    }
    lora_.trigger_words = TriggerWords(lora_.file->metadata());
    lora_.base_model = BaseModel(lora_.file->metadata());
  }

  const LoraTargets targets_;
  Groups groups_;
  std::optional<PeftSettings> settings_;
  const TensorEntry* of_layer_ = nullptr;  // one of the addition that is being read, for messages
  LoraFile lora_;
};

}  // namespace

std::string_view Reason(NotUsed why) {
  switch (why) {
    case NotUsed::kNoSuchLayer:
      return "the transformer has no such layer";
    case NotUsed::kUnknownKind:
      return "nothing that is known of a LoRA";
    case NotUsed::kSaidElsewhere:
      return "the layer has its addition under its own name already";
    case NotUsed::kAlone:
      break;
  }
  return "there is no addition that it belongs to";
}

LoraFile ReadLora(std::shared_ptr<const SafetensorsFile> file, const LoraModules& modules) {
  return Reader(std::move(file), modules).Read();
}

}  // namespace diptych
