// The one way from the command line's words to a terminal or a file: whatever they hold, nothing of it is obeyed.
#pragma once

#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>

namespace diptych {

// Escapes all that is written through it (EscapeLines of common/foreign_text/escape.h), at the end of each line and at
// each flush. Not thread-safe.
class ShownText final : public std::streambuf {
 public:
  explicit ShownText(std::ostream& target) : target_(target) {}  // outlives this object
  ~ShownText() override;

  // A control sequence of our own, as it stands.
  void Control(std::string_view sequence);

 private:
  int overflow(int c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;
  bool Pass();  // what has come

  std::ostream& target_;
  std::string pending_;
};

// Writes a control sequence of our own to a terminal, behind a ShownText or not.
void WriteControl(std::ostream& out, std::string_view sequence);

}  // namespace diptych
