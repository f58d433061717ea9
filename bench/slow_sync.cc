// A disk that takes its time: preloaded, it makes each fsync and fdatasync 10 ms longer.
//   LD_PRELOAD=build/bench/libslow_sync.so build/bin/diptych-renderd ...
#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace {

int AfterAWhile(const char* name, int file) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(file);
}

}  // namespace

extern "C" int fsync(int file) { return AfterAWhile("fsync", file); }
extern "C" int fdatasync(int file) { return AfterAWhile("fdatasync", file); }
