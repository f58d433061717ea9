// One part of a model as it lies on disk: its weights, and what says how they are used.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/source_files/model_part.h"
#include "common/weights/checkpoint.h"

namespace diptych {

struct PartSource {
  std::shared_ptr<const Checkpoint> weights;
  std::string config_file;         // empty: no file states the configuration, the shapes of the tensors do
  std::string config_text;         // of that file
  std::vector<std::string> notes;  // for the log: what is not plain about names and configuration; one line each
};

// `path`: a folder with config.json and weights, or a file of weights, whose configuration is looked for as
// ConfigFileOf does. Throws Error: kNotFound, kInvalidArgument, kDataLoss.
PartSource OpenPart(const std::string& path, ModelPart part, const std::string& model_path);

}  // namespace diptych
