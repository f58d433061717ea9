#include "common/net/gate.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/host_lookup.h"
#include "common/net/peer.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kReadBytes = 128 << 10;
constexpr size_t kHeldBytes = 128 << 10;  // in one direction, on the way from one socket to the other
constexpr int kRounds = 4;                // for one connection before the others have their turn
constexpr seconds kBetweenSweeps{2};
constexpr milliseconds kLingering{500};
constexpr std::array<char, 4> kCancel = {0, 0, 0, 8};
// Handshakes under way: they hold some 50 kB each. Beyond it the oldest of the same host, or of all, makes room.
constexpr int64_t kHandshakesOfHost = 64;
constexpr size_t kHandshakesInAll = 256;
constexpr milliseconds kHandshakeIsOld{1000};
constexpr milliseconds kHandshakeLook{20};
constexpr double kHandshakeStepMs = 5;  // more than a step takes, with keys of usual size; paid before, settled after

// Bytes that have been read and not written. Holds no memory while it is empty.
class Held {
 public:
  size_t size() const { return bytes_.size() - begin_; }
  bool empty() const { return size() == 0; }
  std::string_view view() const { return std::string_view(bytes_).substr(begin_); }
  void Append(std::string_view more) { bytes_.append(more); }
  void Drop(size_t count) {
    begin_ += count;
    if (begin_ < bytes_.size()) return;
    begin_ = 0;
    if (bytes_.capacity() > 4096) {
      std::string().swap(bytes_);
    } else {
      bytes_.clear();
    }
  }

 private:
  std::string bytes_;
  size_t begin_ = 0;
};

std::string ResetFrame(uint32_t stream) {
  std::string frame = {0, 0, 4, Http2Frame::kRstStream, 0};
  for (const int shift : {24, 16, 8, 0}) frame.push_back(static_cast<char>(stream >> shift));
  frame.append(kCancel.data(), kCancel.size());
  return frame;
}

// False: the connection is broken.
bool WriteSome(int fd, std::string_view bytes, size_t* written) {
  *written = 0;
  while (*written < bytes.size()) {
    const ssize_t count = send(fd, bytes.data() + *written, bytes.size() - *written, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      *written += static_cast<size_t>(count);
    } else if (errno == EINTR) {
      continue;
    } else {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
  }
  return true;
}

double ThreadMs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

enum class Read { kSome, kNothingNow, kEnd };

Read ReadSome(int fd, std::vector<char>& buffer, size_t most, std::string_view* bytes) {
  for (;;) {
    const ssize_t count = recv(fd, buffer.data(), std::min(most, buffer.size()), MSG_DONTWAIT);
    if (count > 0) {
      *bytes = {buffer.data(), static_cast<size_t>(count)};
      return Read::kSome;
    }
    if (count < 0 && errno == EINTR) continue;
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? Read::kNothingNow : Read::kEnd;
  }
}

}  // namespace

struct Gate::Host {
  HostAllowances allowances;
  int64_t connections = 0;
  int64_t handshakes = 0;           // under way
  Allowance handshake_ms{250, 60};  // of the gate's thread
};

struct Gate::Connection {
  Connection(uint64_t number, const Arrival& arrival, Host* of, const TrafficLimits& limits)
      : id(number),
        listening(arrival.listening),
        peer(arrival.fd),
        secured(!arrival.plain),
        host_name(arrival.host),
        host(of),
        judge(limits, &of->allowances) {}
  ~Connection() {
    if (peer >= 0) close(peer);
    if (inner >= 0) close(inner);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const uint64_t id;
  const int listening;
  const int peer;
  const bool secured;               // by TLS, if the gate has it
  std::unique_ptr<TlsSession> tls;  // from the first byte on
  Clock::time_point tls_begun;
  Allowance small_records{1000, 4000};
  double owed_records = 0;
  std::string named;  // among the peers' names
  int inner = -1;     // our end of the pair whose other end gRPC serves; -1: the peer has not introduced itself yet
  const std::string host_name;
  Host* const host;
  TrafficJudge judge;
  bool admitted = false;    // it has been paid for among the new connections of its host
  Held in;                  // from the peer
  size_t judged = 0;        // of `in`: may go on
  Held out;                 // to the peer
  bool served_out = false;  // gRPC has closed its end
  std::optional<Clock::time_point> wait_until;
  Clock::time_point born = Clock::now();
  Clock::time_point wrote = Clock::now();  // when the peer last took something, or had nothing to take
  int64_t unfinished_bytes = 0;            // as counted in the sum
  uint32_t peer_watched = 0, inner_watched = 0;
};

Gate::Gate(GateOptions options)
    : options_(std::move(options)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      scratch_(kReadBytes) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  thread_ = std::thread([this] { Work(); });
}

Gate::~Gate() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  const uint64_t one = 1;
  while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
  }
  thread_.join();
  for (const Arrival& arrival : arrivals_) close(arrival.fd);
  connections_.clear();
  close(epoll_);
  close(wake_);
}

void Gate::Admit(int listening, int connection, bool plain) {
  SocketAddress from;
  from.size = sizeof from.storage;
  if (getpeername(connection, from.get(), &from.size) != 0) {  // it has left already
    close(connection);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back({listening, connection, plain || options_.tls == nullptr, from.ToAddress().host});
  }
  const uint64_t one = 1;
  while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

// Tags: the connection's number, doubled; the inner end has the odd one. 0 is the eventfd.
void Gate::Work() {
  std::array<epoll_event, 64> events;
  std::optional<Clock::time_point> end;
  for (;;) {
    const int count =
        epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), MillisecondsToNext(Clock::now()));
    for (int i = 0; i < count; ++i) {
      const uint64_t tag = events[static_cast<size_t>(i)].data.u64;
      if (tag == 0) {
        uint64_t sum;
        while (read(wake_, &sum, sizeof sum) < 0 && errno == EINTR) {
        }
        TakeArrivals();
        continue;
      }
      const auto found = connections_.find(tag / 2);
      if (found == connections_.end()) continue;
      const bool is_peer = tag % 2 == 0;
      const bool gone = is_peer && (events[static_cast<size_t>(i)].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0;
      if (gone || !Pump(*found->second)) End(tag / 2);
    }
    const Clock::time_point now = Clock::now();
    WakeWaiting(now);
    if (unfinished_bytes_ > options_.unfinished_bytes) EndGreediest();
    if (now >= next_sweep_) Sweep(now);
    for (const uint64_t id : std::exchange(to_end_, {})) End(id);
    {
      const std::lock_guard lock(mutex_);
      if (!ending_) continue;
    }
    if (!end) end = now + kLingering;
    const bool all_out = std::all_of(connections_.begin(), connections_.end(), [](const auto& entry) {
      return entry.second->inner < 0 || (entry.second->served_out && entry.second->out.empty());
    });
    if (all_out || now >= *end) return;
  }
}

int Gate::MillisecondsToNext(Clock::time_point now) const {
  Clock::time_point next = next_sweep_;
  for (const uint64_t id : waiting_) {
    const Connection& connection = *connections_.at(id);
    if (connection.wait_until) next = std::min(next, *connection.wait_until);
  }
  const auto left = std::chrono::ceil<milliseconds>(next - now).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 2000));
}

void Gate::TakeArrivals() {
  std::vector<Arrival> arrivals;
  {
    const std::lock_guard lock(mutex_);
    arrivals.swap(arrivals_);
  }
  for (const Arrival& arrival : arrivals) Begin(arrival);
}

void Gate::Begin(const Arrival& arrival) {
  std::unique_ptr<Host>& host = hosts_[arrival.host];
  if (host == nullptr) {
    host = std::make_unique<Host>();
    host->allowances.streams_in_all = &streams_;
  }
  ++host->connections;
  const uint64_t id = ++last_id_;
  Connection& connection =
      *(connections_[id] = std::make_unique<Connection>(id, arrival, host.get(), options_.traffic));
  if (!Pump(connection)) End(id);
}

bool Gate::Pump(Connection& connection) {
  bool moved = true;
  for (int round = 0; moved && round < kRounds; ++round) {
    moved = false;
    if (!PumpIn(connection, &moved) || !PumpOut(connection, &moved)) return false;
  }
  Watch(connection);
  return true;
}

bool Gate::PumpIn(Connection& c, bool* moved) {
  const Clock::time_point now = Clock::now();
  if (!c.wait_until || *c.wait_until <= now) {
    c.wait_until.reset();
    waiting_.erase(c.id);
    if (!ReadAndJudge(c, now, moved)) return false;
  }
  if (c.inner < 0) return !c.judge.has_preface() || (Serve(c) && PumpIn(c, moved));
  size_t written = 0;
  if (c.judged > 0 && !WriteSome(c.inner, c.in.view().substr(0, c.judged), &written)) written = c.judged;  // closed
  c.in.Drop(written);
  c.judged -= written;
  return true;
}

// False: the peer has gone, or must.
bool Gate::ReadAndJudge(Connection& c, Clock::time_point now, bool* moved) {
  const auto wait = [&](Clock::time_point until) {
    c.wait_until = until;
    waiting_.insert(c.id);
    return true;
  };
  if (!c.admitted) {
    Allowance& allowance = c.host->allowances.connections;
    if (!allowance.Take(1, now)) return wait(allowance.When(1, now));
    c.admitted = true;
  }
  Clock::time_point later;
  if (c.secured && !MayRead(c, now, &later)) return wait(later);
  if (c.in.size() < kHeldBytes) {
    std::string_view bytes;
    switch (ReadSome(c.peer, scratch_, kHeldBytes - c.in.size(), &bytes)) {
      case Read::kEnd:
        return false;
      case Read::kNothingNow:
        break;
      case Read::kSome:
        *moved = true;
        if (!Take(c, bytes)) return false;
    }
  }
  if (c.judged == c.in.size()) return true;
  const TrafficJudge::Judgement judgement = c.judge.Judge(c.in.view().substr(c.judged), now);
  c.judged += judgement.pass;
  unfinished_bytes_ += c.judge.unfinished_bytes() - c.unfinished_bytes;
  c.unfinished_bytes = c.judge.unfinished_bytes();
  if (!judgement.breach.empty()) return false;
  return !judgement.wait_until || wait(*judgement.wait_until);
}

bool Gate::MayRead(Connection& c, Clock::time_point now, Clock::time_point* wait) {
  if (c.tls && c.tls->is_open()) {
    if (c.owed_records == 0 || c.small_records.Take(c.owed_records, now)) {
      c.owed_records = 0;
      return true;
    }
    *wait = c.small_records.When(c.owed_records, now);
    return false;
  }
  if (!HasPlaceForHandshake(c, now)) {
    *wait = now + kHandshakeLook;
    return false;
  }
  for (Allowance* const each : {&c.host->handshake_ms, &handshake_ms_}) {
    if (each->When(kHandshakeStepMs, now) <= now) continue;
    *wait = each->When(kHandshakeStepMs, now);
    return false;
  }
  return true;
}

bool Gate::HasPlaceForHandshake(Connection& c, Clock::time_point now) {
  if (c.tls) return true;
  const bool host_has_all = c.host->handshakes >= kHandshakesOfHost;
  if (!host_has_all && handshaking_.size() < kHandshakesInAll) return true;
  for (const uint64_t id : handshaking_) {
    const Connection& oldest = *connections_.at(id);
    if (host_has_all && oldest.host != c.host) continue;
    if (now - oldest.tls_begun > kHandshakeIsOld) to_end_.push_back(id);
    break;
  }
  return false;
}

bool Gate::Take(Connection& c, std::string_view bytes) {
  if (!c.secured) {
    c.in.Append(bytes);
    return true;
  }
  if (!c.tls) {
    c.tls = options_.tls->Begin();
    if (!c.tls) return false;
    c.tls_begun = Clock::now();
    ++c.host->handshakes;
    handshaking_.insert(c.id);
  }
  if (c.tls->is_open()) return Unseal(c, bytes);
  const double begun_ms = ThreadMs();
  const bool goes_on = Unseal(c, bytes);
  const double took_ms = ThreadMs() - begun_ms;
  for (Allowance* const each : {&c.host->handshake_ms, &handshake_ms_}) {
    // MayRead has seen that there is as much.
    (void)each->Take(std::min(took_ms, kHandshakeStepMs), Clock::now());
    for (double rest = took_ms - kHandshakeStepMs; rest > 0 && each->Take(std::min(rest, 1.0), Clock::now());
         rest -= 1) {
    }
  }
  if (goes_on && c.tls->is_open()) EndHandshake(c);
  if (!goes_on) NoteFailure(c);
  return goes_on;
}

bool Gate::Unseal(Connection& c, std::string_view bytes) {
  std::string plain, to_peer;
  const bool goes_on = c.tls->Receive(bytes, &plain, &to_peer);
  c.in.Append(plain);
  if (!to_peer.empty()) {
    if (c.out.empty()) c.wrote = Clock::now();
    c.out.Append(to_peer);
  }
  c.owed_records = std::min(c.owed_records + static_cast<double>(c.tls->TakeSmallRecords()), 4000.0);
  if (!goes_on) {  // why, if there is room for it
    size_t written = 0;
    (void)WriteSome(c.peer, c.out.view(), &written);
  }
  return goes_on;
}

void Gate::EndHandshake(Connection& c) {
  if (handshaking_.erase(c.id) > 0) --c.host->handshakes;
}

bool Gate::Answer(Connection& c, std::string_view bytes) {
  if (c.out.empty()) c.wrote = Clock::now();
  if (!c.secured) {
    c.out.Append(bytes);
    return true;
  }
  std::string sealed;
  if (!c.tls->Send(bytes, &sealed)) return false;
  c.out.Append(sealed);
  return true;
}

void Gate::NoteFailure(const Connection& c) {
  ++failed_handshakes_;
  last_failure_ = absl::StrCat("from ", c.host_name, ": ", c.tls->failure());
  WarnWhenDue(Clock::now());
}

void Gate::WarnWhenDue(Clock::time_point now) {
  if (failed_handshakes_ == 0 || now < next_warning_) return;
  if (options_.warn) {
    options_.warn(failed_handshakes_ == 1
                      ? absl::StrCat("a connection was refused at its TLS handshake, ", last_failure_)
                      : absl::StrCat(failed_handshakes_, " connections were refused at their TLS handshakes, the last ",
                                     last_failure_));
  }
  failed_handshakes_ = 0;
  next_warning_ = now + options_.warn_interval;
}

void Gate::RefreshTls(Clock::time_point now) {
  if (options_.tls == nullptr || now < next_refresh_) return;
  const bool first = next_refresh_ == Clock::time_point();
  next_refresh_ = now + options_.refresh_every;
  if (first) return;
  const absl::StatusOr<bool> changed = options_.tls->Refresh();
  if (!options_.warn || (changed.ok() && !*changed)) return;
  options_.warn(changed.ok()
                    ? absl::StrCat("the TLS files were read anew; the certificate is ", options_.tls->files().summary)
                    : absl::StrCat("the TLS files have changed, and what they held before stays in use: ",
                                   changed.status().message()));
}

bool Gate::PumpOut(Connection& c, bool* moved) {
  const Clock::time_point now = Clock::now();
  if (c.inner >= 0 && !c.served_out && c.out.size() < kHeldBytes) {
    std::string_view bytes;
    switch (ReadSome(c.inner, scratch_, kHeldBytes - c.out.size(), &bytes)) {
      case Read::kEnd:
        c.served_out = true;
        if (c.tls) {
          std::string farewell;
          c.tls->Close(&farewell);
          c.out.Append(farewell);
        }
        break;
      case Read::kNothingNow:
        break;
      case Read::kSome: {
        *moved = true;
        const int64_t streams = c.judge.streams();
        c.judge.Answer(bytes);
        if (c.judge.streams() < streams && c.wait_until == Clock::time_point::max()) c.wait_until = now;
        if (!Answer(c, bytes)) return false;
      }
    }
  }
  size_t written = 0;
  if (!c.out.empty()) {
    if (!WriteSome(c.peer, c.out.view(), &written)) return false;
    if (written > 0) c.wrote = now;
    c.out.Drop(written);
  }
  return !c.served_out || !c.out.empty();
}

// Hands gRPC its end of a new pair of sockets. False: there are no descriptors left.
bool Gate::Serve(Connection& c) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return false;
  const std::string connection = NamePeer(ends[0], c.host_name);
  c.inner = ends[0];
  if (c.tls && options_.names != nullptr && !connection.empty() && !c.tls->peer_name().empty()) {
    c.named = connection;
    options_.names->Set(connection, c.tls->peer_name());
  }
  options_.serve(c.listening, ends[1]);
  return true;
}

void Gate::Watch(Connection& c) {
  // Also while it is not read a peer that leaves is noticed.
  const bool reads = !c.wait_until && c.in.size() < kHeldBytes;
  WatchFd(c.id * 2, c.peer, (reads ? EPOLLIN : EPOLLRDHUP) | (c.out.empty() ? 0u : EPOLLOUT), &c.peer_watched);
  if (c.inner < 0) return;
  const bool answers = !c.served_out && c.out.size() < kHeldBytes;
  WatchFd(c.id * 2 + 1, c.inner, (answers ? EPOLLIN : 0u) | (c.judged == 0 ? 0u : EPOLLOUT), &c.inner_watched);
}

void Gate::WatchFd(uint64_t tag, int fd, uint32_t wanted, uint32_t* watched) {
  if (*watched == wanted) return;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = tag;
  // One of which nothing is wanted is not left there: the end of a connection would be told again and again.
  epoll_ctl(epoll_, *watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, fd, &event);
  *watched = wanted;
}

void Gate::WakeWaiting(Clock::time_point now) {
  std::vector<uint64_t> due;
  for (const uint64_t id : waiting_) {
    const Connection& connection = *connections_.at(id);
    if (!connection.wait_until || *connection.wait_until <= now) due.push_back(id);
  }
  for (const uint64_t id : due) {
    if (!Pump(*connections_.at(id))) End(id);
  }
}

void Gate::Sweep(Clock::time_point now) {
  next_sweep_ = now + kBetweenSweeps;
  std::vector<uint64_t> over;
  for (const auto& [id, connection] : connections_) {
    Connection& c = *connection;
    const bool handshakes = c.secured && (!c.tls || !c.tls->is_open());
    if (handshakes && now - c.born > options_.handshake_within) {
      if (c.tls) {
        ++failed_handshakes_;
        last_failure_ =
            absl::StrCat("from ", c.host_name, ": it was not done in ", options_.handshake_within.count(), " s");
      }
      over.push_back(id);
      continue;
    }
    if ((c.inner < 0 && now - c.born > options_.preface_within) ||
        (!c.out.empty() && now - c.wrote > options_.unread_for)) {
      over.push_back(id);
      continue;
    }
    while (c.inner >= 0 && c.judged == c.in.size() && c.judge.IsBetweenFrames() && c.judge.IsBetweenAnswers()) {
      const std::optional<uint32_t> stale = c.judge.TakeStale(now);
      if (!stale) break;
      const std::string reset = ResetFrame(*stale);
      c.in.Append(reset);
      c.judged += reset.size();
      if (!Answer(c, reset)) {
        over.push_back(id);
        break;
      }
      if (c.wait_until == Clock::time_point::max()) c.wait_until = now;
    }
    if (!c.out.empty() && !Pump(c)) over.push_back(id);
  }
  for (const uint64_t id : over) End(id);
  WarnWhenDue(now);
  RefreshTls(now);
  std::erase_if(hosts_, [&](auto& entry) {
    HostAllowances& allowances = entry.second->allowances;
    return entry.second->connections == 0 && allowances.opened.IsFull(now) && allowances.reset.IsFull(now) &&
           allowances.connections.IsFull(now) && entry.second->handshake_ms.IsFull(now);
  });
}

void Gate::EndGreediest() {
  while (unfinished_bytes_ > options_.unfinished_bytes) {
    const auto greediest = std::max_element(connections_.begin(), connections_.end(), [](const auto& a, const auto& b) {
      return a.second->unfinished_bytes < b.second->unfinished_bytes;
    });
    End(greediest->first);
  }
}

void Gate::End(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  unfinished_bytes_ -= found->second->unfinished_bytes;
  --found->second->host->connections;
  EndHandshake(*found->second);
  if (!found->second->named.empty()) options_.names->Forget(found->second->named);
  waiting_.erase(id);
  connections_.erase(found);
}

}  // namespace diptych
