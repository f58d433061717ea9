// What people give for a checkpoint that is none, and what they should give instead.
#pragma once

#include <string>

namespace diptych {

// What is wrong with `given` as the folder of a checkpoint (--model-path), in one line that says what to give instead:
// it is not there, a single file, a folder of the Hugging Face cache, one part, the folder above, ... Empty: it has at
// least one of the parts.
std::string ModelFolderProblem(const std::string& given);

// The same for one part (--transformer-path, or MODEL/transformer): a folder with config.json and weights, or a file of
// weights. Empty: there is a config.json in the folder, or a link of that name, or the file is of no kind that is known
// to be none.
std::string PartProblem(const std::string& part);

// The folder of the checkpoint that a part belongs to: MODEL for MODEL/transformer, MODEL/transformer/ and a weight
// file in it, however the part is spelled.
std::string ModelFolderOf(const std::string& part);

// For the end of a line about a part that cannot be read: "; MODEL/model_index.json says ..., " when the checkpoint
// that it is part of is of another family. Empty otherwise.
std::string FamilyNote(const std::string& part);

}  // namespace diptych
