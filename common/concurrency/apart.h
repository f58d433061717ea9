// A computation on a thread that ends with it.
#pragma once

#include <functional>

namespace diptych {

// Does `work` on a new thread and returns when it is done; what it throws is thrown here. GNU OpenMP gives every thread
// that computes a crew of helpers that stays until that thread ends, and lets all crews of a process wait less
// patiently once they have more members than the machine has cores. Work that comes in on whatever thread a server has
// is therefore done apart; it costs some tens of microseconds.
void RunApart(const std::function<void()>& work);

}  // namespace diptych
