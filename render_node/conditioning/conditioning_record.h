// Finished conditioning as the bytes of a file: a line that names format and version, a line with the checksum, a line
// of JSON with every header field, and then the rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/conditioning/conditioning.h"

namespace diptych {

// What stands before the rows. The checksum is over key, header and rows: a file under another key's name does not
// match.
std::string ConditioningRecordHead(const std::string& key, const Conditioning& conditioning);

// The whole file back. Throws Error(kDataLoss) for anything but what ConditioningRecordHead and the rows make.
Conditioning ParseConditioningRecord(const std::string& key, const std::vector<uint8_t>& file);

}  // namespace diptych
