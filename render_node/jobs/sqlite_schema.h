// The layout of the job store and how an older one becomes the present one.
#pragma once

#include <span>

#include "render_node/jobs/sqlite_database.h"

namespace diptych {

// Brings the schema from the version before to its own. Runs inside a transaction.
using Migration = void (*)(SqliteDatabase&);

// Element k leads from version k to k + 1; version 0 is an empty database. Only ever append.
std::span<const Migration> JobStoreMigrations();

// Makes `database` the newest version, all missing steps in one transaction. Throws Error: kFailedPrecondition when it
// is of a newer version (both are named), kDataLoss when it is not a job store of ours; nothing is changed then.
void Migrate(SqliteDatabase& database, std::span<const Migration> migrations);

}  // namespace diptych
