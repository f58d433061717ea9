// One part of a model as it lies on disk: its weights, and what says how they are used.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/source_files/model_part.h"
#include "common/weights/checkpoint.h"
#include "common/weights/gguf.h"

namespace diptych {

struct PartSource {
  std::shared_ptr<const Checkpoint> weights;
  std::string config_file;  // empty: no file states the configuration, the weights' own does
  std::string config_text;  // of that file
  // What the weights' own file states of it, which counts where there is no `config_file`; part of `weights`. nullptr:
  // nothing, the shapes of the tensors tell.
  const GgufFile* metadata = nullptr;
  std::vector<std::string> notes;  // for the log: what is not plain about names and configuration; one line each

  std::string ConfigOrigin() const {  // "MODEL/vae/config.json", "its metadata", "its shapes"
    return !config_file.empty() ? config_file : metadata != nullptr ? "its metadata" : "its shapes";
  }
};

// `path`: a folder with config.json and weights, or a file of weights, whose configuration is looked for as
// ConfigFileOf does, else in its metadata, else in its shapes. Throws Error: kNotFound, kInvalidArgument, kDataLoss.
PartSource OpenPart(const std::string& path, ModelPart part, const std::string& model_path);

}  // namespace diptych
