// Cancelling in the midst of tensor work.
#pragma once

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/concurrency/cancel_token.h"

namespace diptych {

// Cancels when the n-th operation of that name begins in this thread, and counts those after it.
class CancelAt {
 public:
  CancelAt(const std::string& name, int n, CancelToken cancel) : cancel_(std::move(cancel)), n_(n) {
    current_ = this;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction& op) -> std::unique_ptr<at::ObserverContext> {
          current_->Saw(op.name());
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
    name_ = name;
  }
  ~CancelAt() { at::removeCallback(handle_); }
  int after() const { return after_; }

 private:
  void Saw(std::string_view name) {
    if (name != name_) return;
    if (n_ == 0) ++after_;
    if (n_ > 0 && --n_ == 0) cancel_.Cancel();
  }

  static inline CancelAt* current_ = nullptr;
  const CancelToken cancel_;
  std::string name_;
  int n_, after_ = 0;
  at::CallbackHandle handle_;
};

}  // namespace diptych
