#include "render_node/jobs/sqlite_database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <string>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int kBusyTimeoutMs = 5000;

ErrorCode CodeOf(int result) {
  switch (result & 0xFF) {  // the primary code
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ErrorCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_IOERR:  // a quota, a disk that went read-only: SQLite knows a full disk by ENOSPC alone
      return ErrorCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kDataLoss;
    default:
      return ErrorCode::kInternal;
  }
}

// For what goes wrong where file systems lack locks or shared mappings.
const char* Advice(int result) {
  switch (result) {
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMLOCK:
    case SQLITE_IOERR_SHMMAP:
    case SQLITE_IOERR_LOCK:
    case SQLITE_IOERR_RDLOCK:
    case SQLITE_IOERR_UNLOCK:
      return "; the state folder must be on a local disk";
    default:
      return "";
  }
}

}  // namespace

SqliteDatabase::SqliteDatabase(const std::filesystem::path& path) : path_(path.string()) {
  // A new file is its owner's alone, as then are the log and its index, which take its mode. Never opened when it is
  // there: closing it would drop the locks that this process may have on it.
  if (const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); fd >= 0) ::close(fd);
  // NOMUTEX: our callers hold a lock of their own.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr) != SQLITE_OK) {
    const Error error(CodeOf(sqlite3_extended_errcode(handle_)),
                      "cannot open job store " + path_ + ": " + sqlite3_errmsg(handle_));
    sqlite3_close(handle_);
    throw error;
  }
  sqlite3_busy_timeout(handle_, kBusyTimeoutMs);
}

SqliteDatabase::~SqliteDatabase() { sqlite3_close_v2(handle_); }

void SqliteDatabase::Execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) Fail("cannot be used");
}

int64_t SqliteDatabase::Integer(std::string_view sql) {
  SqliteStatement statement(*this, sql);
  SqliteQuery query(statement);
  return query.Next() ? query.Integer(0) : 0;
}

std::string SqliteDatabase::Text(std::string_view sql) {
  SqliteStatement statement(*this, sql);
  SqliteQuery query(statement);
  return query.Next() ? query.Text(0) : std::string();
}

int64_t SqliteDatabase::Changes() const { return sqlite3_changes64(handle_); }

void SqliteDatabase::Fail(const char* doing) const {
  const int result = sqlite3_extended_errcode(handle_);
  throw Error(CodeOf(result), "job store " + path_ + " " + doing + ": " + sqlite3_errmsg(handle_) + Advice(result));
}

SqliteStatement::SqliteStatement(SqliteDatabase& database, std::string_view sql) : database_(database) {
  const int size = static_cast<int>(sql.size());
  if (sqlite3_prepare_v3(database.handle_, sql.data(), size, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr) !=
      SQLITE_OK) {
    database.Fail("cannot be asked");
  }
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(handle_); }

void SqliteStatement::Bind(int index, int64_t value) {
  if (sqlite3_bind_int64(handle_, index, value) != SQLITE_OK) database_.Fail("cannot take a number");
}

void SqliteStatement::Bind(int index, double value) {
  if (sqlite3_bind_double(handle_, index, value) != SQLITE_OK) database_.Fail("cannot take a number");
}

void SqliteStatement::Bind(int index, std::string_view value) {
  if (sqlite3_bind_text64(handle_, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK) {
    database_.Fail("cannot take a text");
  }
}

bool SqliteStatement::Step() {
  const int result = sqlite3_step(handle_);
  if (result != SQLITE_ROW && result != SQLITE_DONE) database_.Fail("cannot be read or written");
  return result == SQLITE_ROW;
}

SqliteQuery::~SqliteQuery() {
  sqlite3_reset(statement_.handle_);
  sqlite3_clear_bindings(statement_.handle_);
}

int64_t SqliteQuery::Integer(int column) const { return sqlite3_column_int64(statement_.handle_, column); }

double SqliteQuery::Real(int column) const { return sqlite3_column_double(statement_.handle_, column); }

std::string SqliteQuery::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.handle_, column);
  const int size = sqlite3_column_bytes(statement_.handle_, column);
  return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
}

SqliteTransaction::SqliteTransaction(SqliteDatabase& database) : database_(database) {
  database_.Execute("BEGIN IMMEDIATE");
}

SqliteTransaction::~SqliteTransaction() {
  if (!open_) return;
  try {
    database_.Execute("ROLLBACK");
  } catch (const Error&) {
    // SQLite rolled back by itself (disk full, damage); the first error is already on its way.
  }
}

void SqliteTransaction::Commit() {
  database_.Execute("COMMIT");
  open_ = false;
}

}  // namespace diptych
