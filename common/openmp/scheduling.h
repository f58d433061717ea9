// How the calling thread is scheduled, with the slice that it asks for: sched_getattr(2) and sched_setattr(2), which
// Debian 12's C library does not wrap.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace diptych {

// The kernel's struct sched_attr, version 0.
struct Scheduling {
  uint32_t size = sizeof(Scheduling);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  // Under SCHED_OTHER and SCHED_BATCH: the slice, ns, 0 for the kernel's own. Linux grants 100 us to 100 ms from 6.12
  // on and ignores it before.
  uint64_t runtime = 0;
  uint64_t deadline = 0;
  uint64_t period = 0;
};

// False where the kernel refuses. Both may be called before anything is initialised.
inline bool ReadScheduling(Scheduling& scheduling) {
  return syscall(SYS_sched_getattr, 0, &scheduling, sizeof scheduling, 0) == 0;
}
inline bool SetScheduling(Scheduling& scheduling) { return syscall(SYS_sched_setattr, 0, &scheduling, 0) == 0; }

}  // namespace diptych
