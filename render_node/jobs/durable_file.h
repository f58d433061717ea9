// Files that are whole or not there, also after a power cut.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "common/files/file_descriptor.h"
#include "common/files/unfinished_file.h"

namespace diptych {

// One piece of what goes into a file.
struct ByteSpan {
  const void* data = nullptr;
  size_t size = 0;
};

// All of it on disk under this name when it returns. Throws FileError.
void PublishDurably(UnfinishedFile& file, const std::filesystem::path& path);

// Writes the pieces one after another: to a temporary file beside `path`, synced, renamed over `path`, folder synced.
// When it returns the file is on disk; when it throws, `path` is as it was. Concurrent writers of one path are fine,
// the last one wins. Throws Error: kResourceExhausted (disk full), kUnavailable (read-only, no permission), kInternal.
void WriteFileDurably(const std::filesystem::path& path, const std::vector<ByteSpan>& pieces);

// The same for a file that nobody reads before this returns: renamed first, then file and folder are synced at the same
// time, so one wait for the disk instead of two. After a power cut in between `path` may hold part of the bytes. When
// it throws, `path` is as it was or not there.
void WriteUnreadFileDurably(const std::filesystem::path& path, const std::vector<ByteSpan>& pieces);

// The same without a sync: whole or as it was after this process or any other is killed, but a power cut may leave part
// of it. For what is checked when it is read and can be made again.
void ReplaceFile(const std::filesystem::path& path, const std::vector<ByteSpan>& pieces);

// The whole file. Throws Error: kNotFound when there is none, kDataLoss for a link or what is no ordinary file,
// otherwise as above.
std::vector<uint8_t> ReadWholeFile(const std::filesystem::path& path);

// Makes the folder for its owner alone; its parents must be there. One that is there stays as it is. Throws Error:
// kFailedPrecondition when something else has its name, a link to a folder too, else as above.
void MakePrivateFolder(const std::filesystem::path& folder);

// Makes names created in `folder` survive a power cut.
void SyncFolder(const std::filesystem::path& folder);

// For SyncFile. Throws Error like ReadWholeFile.
FileDescriptor OpenToSync(const std::filesystem::path& path);

// Makes what anybody has written to the file survive a power cut. `path` is for the message.
void SyncFile(const FileDescriptor& fd, const std::filesystem::path& path);

// The files in `folder` that were written longer ago than `age`, in no order; those half written are not among them.
std::vector<std::filesystem::path> FilesOlderThan(const std::filesystem::path& folder, std::chrono::minutes age);

// Makes the file as new for the two functions around this one. False when there is none.
bool RenewFile(const std::filesystem::path& path);

// Deletes the file if it was written or renewed longer ago than `age`; false when there is no such. A writer that
// renews before it writes keeps its file if the same lock is held around both calls.
bool RemoveFileOlderThan(const std::filesystem::path& path, std::chrono::minutes age);

// Deletes what writers that were killed left in `folder`. Only for a folder that nobody else writes to.
void RemoveUnfinishedFiles(const std::filesystem::path& folder);

// Of all files in `folder` together, each rounded up to whole blocks of so many bytes; looks at each. One that goes
// meanwhile does not count.
int64_t BytesIn(const std::filesystem::path& folder, int64_t block = 1);

// The error for a failed system call; reads errno. `what` is e.g. "cannot write FILE".
FileError SystemCallError(const std::string& what);

}  // namespace diptych
