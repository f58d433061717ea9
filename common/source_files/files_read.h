// Which files a model was made from, noted as they are read: whoever loads one need not know what its parts open.
#pragma once

#include <string>
#include <vector>

#include "common/source_files/file_facts.h"

namespace diptych {

struct FileRead {
  std::string path;
  FileFacts facts;  // when it was read
};

// While it lives, every file that is read on this thread by ReadWholeFile (or whoever calls NoteFileRead) is noted in
// it. One inside another takes the notes for itself and hands them to the outer one at its end.
class FilesReadHere {
 public:
  FilesReadHere();
  ~FilesReadHere();
  FilesReadHere(const FilesReadHere&) = delete;
  FilesReadHere& operator=(const FilesReadHere&) = delete;

  const std::vector<FileRead>& files() const { return files_; }  // in the order of reading

  // Throws Error(kUnavailable) naming the first file that is not the one that was read any more.
  void ThrowIfChanged() const;

 private:
  friend void NoteFileRead(const std::string& path, const FileFacts& facts);
  FilesReadHere* const outer_;
  std::vector<FileRead> files_;
};

void NoteFileRead(const std::string& path, const FileFacts& facts);  // nobody may want to know

}  // namespace diptych
