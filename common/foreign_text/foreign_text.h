// Text of others in our words: what a peer, a file or a user gave, inside a message, a status or a line of the log.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace diptych {

// Of a value inside a sentence of ours: a name, a role, a path, a key.
inline constexpr size_t kForeignBytes = 200;
// Of a whole sentence that another process of ours said, and that ours repeats: the reason of a job, of an encoder.
inline constexpr size_t kForeignSentenceBytes = 1000;
// Of a whole message of ours, whatever it holds: a status must fit into gRPC's headers, which are 8 KiB, percent-coded.
inline constexpr size_t kMessageBytes = 2000;

// The text on one line, escaped (escape.h), in at most `most` bytes; valid UTF-8. Of a longer one the beginning, cut at
// a character, and how much is not shown: "abc... (999800 more bytes)".
std::string ForeignText(std::string_view text, size_t most = kForeignBytes);

// The same between quotation marks.
std::string QuotedForeignText(std::string_view text);

// A message as it stands in at most `most` bytes: cut at a character, with how much is not shown. Not escaped.
std::string CutMessage(std::string_view message, size_t most = kMessageBytes);

}  // namespace diptych
