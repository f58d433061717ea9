#include "common/concurrency/apart.h"

#include <exception>
#include <thread>

namespace diptych {

void RunApart(const std::function<void()>& work) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace diptych
