// SQLite behind three small classes, so that the store reads as SQL and every handle closes itself. Not thread-safe:
// one user at a time. Every failure is an Error naming the file: kResourceExhausted (disk full), kDataLoss (damaged, or
// no database), kUnavailable (locked by somebody, read-only, cannot be opened, read or written now), kInternal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace diptych {

class SqliteDatabase {
 public:
  // Opens or creates. Waits up to 5 s for a lock.
  explicit SqliteDatabase(const std::filesystem::path& path);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  const std::string& path() const { return path_; }

  // One or more statements without results.
  void Execute(const std::string& sql);
  // First column of the first row.
  int64_t Integer(std::string_view sql);
  std::string Text(std::string_view sql);
  // Rows that the last statement changed.
  int64_t Changes() const;

 private:
  friend class SqliteStatement;
  [[noreturn]] void Fail(const char* doing) const;

  const std::string path_;
  sqlite3* handle_ = nullptr;
};

// A statement compiled once and run often through SqliteQuery. The database must outlive it.
class SqliteStatement {
 public:
  SqliteStatement(SqliteDatabase& database, std::string_view sql);
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

 private:
  friend class SqliteQuery;
  void Bind(int index, int64_t value);
  void Bind(int index, double value);
  void Bind(int index, std::string_view value);
  bool Step();

  SqliteDatabase& database_;
  sqlite3_stmt* handle_ = nullptr;
};

// One run of a statement; resets it at the end of its life. Text bound to it must live as long.
class SqliteQuery {
 public:
  template <typename... Values>
  explicit SqliteQuery(SqliteStatement& statement, const Values&... values) : statement_(statement) {
    (Bind(values), ...);
  }
  ~SqliteQuery();
  SqliteQuery(const SqliteQuery&) = delete;
  SqliteQuery& operator=(const SqliteQuery&) = delete;

  // The next parameter.
  void Bind(int64_t value) { statement_.Bind(++bound_, value); }
  void Bind(double value) { statement_.Bind(++bound_, value); }
  void Bind(std::string_view value) { statement_.Bind(++bound_, value); }

  // True while there is a row to read.
  bool Next() { return statement_.Step(); }
  void Run() {
    while (Next()) {
    }
  }

  // Columns of the present row, from 0.
  int64_t Integer(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;

 private:
  SqliteStatement& statement_;
  int bound_ = 0;
};

// Rolls back unless it was committed.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(SqliteDatabase& database);
  ~SqliteTransaction();
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  void Commit();

 private:
  SqliteDatabase& database_;
  bool open_ = true;
};

}  // namespace diptych
