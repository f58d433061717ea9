#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "tests/integration/support/trouble.h"

namespace diptych::integration {

Trouble::Trouble(std::filesystem::path control, std::filesystem::path folder)
    : control_(std::move(control)), folder_(std::move(folder)) {
  const int fd = open(control_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* mapped = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, sizeof(TroubleNow)) == 0) {
    mapped = mmap(nullptr, sizeof(TroubleNow), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (fd >= 0) close(fd);
  if (mapped == MAP_FAILED) throw std::runtime_error("cannot map " + control_.string());
  now_ = static_cast<volatile TroubleNow*>(mapped);
}

Trouble::~Trouble() { munmap(const_cast<TroubleNow*>(now_), sizeof(TroubleNow)); }

Process::Environment Trouble::environment() const {
  return {{"LD_PRELOAD", TROUBLE_LIBRARY}, {"DIPTYCH_TEST_TROUBLE", control_}, {"DIPTYCH_TEST_TROUBLE_FOLDER", folder_}};
}

}  // namespace diptych::integration
