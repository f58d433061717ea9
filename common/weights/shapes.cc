#include "common/weights/shapes.h"

#include <algorithm>

#include "common/error/error.h"

namespace diptych {

void Shapes::Refuse(const std::string& why) const {
  throw Error(ErrorCode::kInvalidArgument,
              checkpoint_.path() + ": no config.json says what it is, and from its tensors it cannot be told: " + why +
                  "; put the config.json of this part of the model beside it");
}

const std::vector<int64_t>& Shapes::Of(std::string_view name, size_t dimensions) const {
  const TensorEntry* entry = checkpoint_.Find(name);
  if (entry == nullptr) Refuse(std::string(name) + " is missing" + checkpoint_.Absent(name));
  const std::vector<int64_t>& shape = entry->shape;
  const bool is_usual = std::all_of(shape.begin(), shape.end(), [](int64_t d) { return d >= 1 && d <= INT32_MAX; });
  if (shape.size() != dimensions || !is_usual) {
    Refuse(std::string(name) + " has shape " + ShapeText(shape) + ", expected " + std::to_string(dimensions) +
           (dimensions == 1 ? " dimension" : " dimensions"));
  }
  return shape;
}

int64_t Shapes::Count(const std::string& stem) const {
  int64_t count = 0;
  const auto& tensors = checkpoint_.tensors();
  const auto is_there = [&](const std::string& beginning) {
    const auto first = tensors.lower_bound(beginning);
    return first != tensors.end() && first->first.starts_with(beginning);
  };
  while (is_there(stem + std::to_string(count) + ".")) ++count;
  if (count == 0) Refuse("there is no tensor " + stem + "0.*");
  return count;
}

int64_t Shapes::Quotient(int64_t whole, int64_t part, const std::string& what) const {
  if (whole % part != 0)
    Refuse(what + " do not fit: " + std::to_string(whole) + " is no multiple of " + std::to_string(part));
  return whole / part;
}

}  // namespace diptych
