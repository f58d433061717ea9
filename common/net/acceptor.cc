#include "common/net/acceptor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/net/host_lookup.h"

namespace diptych {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kBetweenSweeps(20);      // a flood does not make us count all the time
constexpr milliseconds kPauseAfterFailure(50);  // when the system has nothing left
constexpr milliseconds kLookForTheEnd(100);     // where nobody can wake the thread

int OpenSpare() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

Acceptor::Acceptor(ListeningSockets sockets, AcceptorOptions options)
    : sockets_(std::move(sockets)),
      options_(std::move(options)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      spare_(OpenSpare()),
      table_(options_.limits),
      thread_([this] { Work(); }) {}

Acceptor::~Acceptor() {
  ending_ = true;
  const uint64_t one = 1;
  while (wake_ >= 0 && write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
  }
  thread_.join();
  if (spare_ >= 0) close(spare_);
  if (wake_ >= 0) close(wake_);
}

void Acceptor::Expect(const Address& from) {
  const std::lock_guard lock(mutex_);
  expected_.insert(from.ToString());
}

void Acceptor::ExpectNoMore(const Address& from) {
  const std::lock_guard lock(mutex_);
  expected_.erase(from.ToString());
}

bool Acceptor::IsExpected(const Address& from) {
  const std::lock_guard lock(mutex_);
  return expected_.contains(from.ToString());
}

void Acceptor::Work() {
  std::vector<pollfd> ready = {{wake_, POLLIN, 0}};
  for (const int listening : sockets_.descriptors()) ready.push_back({listening, POLLIN, 0});
  for (;;) {
    const auto to_warning = std::chrono::ceil<milliseconds>(next_warning_ - Clock::now()).count();
    int64_t wait = refused_ > 0 ? std::max<int64_t>(to_warning, 0) : -1;
    if (wake_ < 0) wait = wait < 0 ? kLookForTheEnd.count() : std::min(wait, kLookForTheEnd.count());
    poll(ready.data(), ready.size(), static_cast<int>(wait));
    if (ending_) break;
    for (size_t i = 1; i < ready.size(); ++i) {
      if (ready[i].revents != 0) AcceptAll(ready[i].fd);
    }
    WarnWhenDue();
  }
  next_warning_ = {};
  WarnWhenDue();
}

// So many at a time that the others and the end have their turn.
void Acceptor::AcceptAll(int listening) {
  for (int i = 0; i < 64 && AcceptOne(listening); ++i) {
  }
}

// False when nobody waits in line any more, or it cannot go on now.
bool Acceptor::AcceptOne(int listening) {
  SocketAddress from;
  from.size = sizeof from.storage;
  const int connection = accept4(listening, from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection >= 0) {
    Judge(listening, connection, from.ToAddress());
    return true;
  }
  const int why = errno;
  if (why == EAGAIN || why == EINTR || why == ECONNABORTED) return false;
  if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM) {
    if (DrainOne(listening)) {
      Refuse("", std::strerror(why));
      return true;
    }
    if (errno == EAGAIN) return false;  // nobody waits: a descriptor is looked for before a connection
  }
  pollfd end = {wake_, POLLIN, 0};
  poll(&end, 1, static_cast<int>(kPauseAfterFailure.count()));
  return false;
}

void Acceptor::Judge(int listening, int connection, const Address& from) {
  using Verdict = ConnectionTable::Verdict;
  Verdict verdict = Verdict::kAdmitted;
  const bool expected = IsExpected(from);
  if (!expected) {
    verdict = table_.Admit(connection, from.host);
    if (verdict != Verdict::kAdmitted && Clock::now() >= next_sweep_) {
      table_.Sweep();
      next_sweep_ = Clock::now() + kBetweenSweeps;
      verdict = table_.Admit(connection, from.host);
    }
  }
  if (verdict == Verdict::kAdmitted) {
    if (spare_ < 0) spare_ = OpenSpare();
    return options_.serve(listening, connection, expected);
  }
  close(connection);
  Refuse(from.host,
         verdict == Verdict::kHostHasAll
             ? absl::StrCat("it has ", options_.limits.per_host, " already, as many as a host may have",
                            options_.limits_hint)
             : absl::StrCat("there are ", options_.limits.in_all, ", as many as may be in all", options_.limits_hint));
}

// With the descriptor that is kept for this: takes the first in line and closes it. False: errno says why.
bool Acceptor::DrainOne(int listening) {
  if (spare_ >= 0) close(spare_);
  const int connection = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  const int why = errno;
  if (connection >= 0) close(connection);
  spare_ = OpenSpare();
  errno = why;
  return connection >= 0;
}

void Acceptor::Refuse(const std::string& host, const std::string& why) {
  ++refused_;
  last_refusal_ = absl::StrCat(host.empty() ? "" : "from ", host, host.empty() ? "" : ": ", why);
  WarnWhenDue();
}

void Acceptor::WarnWhenDue() {
  const Time now = Clock::now();
  if (refused_ == 0 || now < next_warning_) return;
  if (options_.warn) {
    options_.warn(refused_ == 1 ? absl::StrCat("a connection was closed at once, ", last_refusal_)
                                : absl::StrCat(refused_, " connections were closed at once, the last ", last_refusal_));
  }
  refused_ = 0;
  next_warning_ = now + options_.warn_interval;
}

}  // namespace diptych
