// Facts of a model that the shapes of its tensors tell, where no config.json states them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/weights/checkpoint.h"

namespace diptych {

// Every method throws Error(kInvalidArgument) with a line that names the file and the tensor, and says that a
// config.json would help.
class Shapes {
 public:
  explicit Shapes(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  // Of a tensor of so many dimensions, each from 1 to 2^31 - 1.
  const std::vector<int64_t>& Of(std::string_view name, size_t dimensions) const;

  // How many of STEM0., STEM1., ... there are from 0 on; at least one.
  int64_t Count(const std::string& stem) const;

  // `whole` / `part`, which leaves nothing over. `what` is for the message: "attention.to_q and head_dim".
  int64_t Quotient(int64_t whole, int64_t part, const std::string& what) const;

  bool Has(std::string_view name) const { return checkpoint_.Find(name) != nullptr; }

  [[noreturn]] void Refuse(const std::string& why) const;

 private:
  const Checkpoint& checkpoint_;
};

}  // namespace diptych
