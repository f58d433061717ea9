// Where the tokenizer of a checkpoint is.
#pragma once

#include <filesystem>
#include <string>

namespace diptych {

// An ordinary file; false also for a name that no file can have.
bool IsFile(const std::filesystem::path& path);

// The first folder that holds a tokenizer (tokenizer.json, or vocab.json and merges.txt): the text encoder's own, when
// it is named (of a file: the folder that it lies in), then MODEL/tokenizer, MODEL/text_encoder, MODEL. Where none
// does, the text encoder itself, if it is a GGUF file, which may carry one; else the folder that it belongs into, for
// LoadTokenizer to complain about. Either argument may be empty, not both.
std::filesystem::path FindTokenizer(const std::string& model_path, const std::string& text_encoder_path);

}  // namespace diptych
