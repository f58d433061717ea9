// File descriptors: how many a daemon may have, and how many connections that is.
#pragma once

#include <string>

#include "common/log/log.h"
#include "common/net/connection_table.h"

namespace diptych {

// Makes the soft limit of this process the hard one. What it is by default (1024 in most places) is for programs that
// call select(2). The first thing that a daemon does.
void RaiseDescriptorLimit();

// Why this process cannot live with the descriptors that it may have, and how many it needs; empty: it can.
std::string DescriptorProblem();

// `wanted`, or fewer where the limit does not leave as many beside what the daemon needs for itself: files, the queue,
// its own connections. Then it warns.
ConnectionLimits WithinDescriptorLimit(const ConnectionLimits& wanted, const Logger& log);

}  // namespace diptych
