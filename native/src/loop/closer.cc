#include "loop/closer.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace rn {

namespace closer {

namespace {

constexpr int kMaxThreads = 8;
constexpr long kPatienceNs = 100 * 1000 * 1000;
constexpr std::chrono::seconds kIdle{2};

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<int> queue;
  int threads = 0;
  int idle = 0;
};

// Never deleted: threads that are stuck may still use it.
State& state() {
  static State* instance = new State;
  return *instance;
}

// Sends SIGURG (see watchdog.h) to this thread as long as it is armed.
class Interrupter {
 public:
  Interrupter() {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGURG;
    event.sigev_notify_thread_id = int(syscall(SYS_gettid));
    made_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
  }
  ~Interrupter() {
    if (made_) timer_delete(timer_);
  }
  // Periodically: the first may come just before the call that it should end.
  void arm(bool armed) {
    itimerspec each{};
    if (armed) each.it_value.tv_nsec = each.it_interval.tv_nsec = kPatienceNs;
    if (made_) timer_settime(timer_, 0, &each, nullptr);
  }

 private:
  timer_t timer_{};
  bool made_ = false;
};

void* work(void*) {
  State& s = state();
  Interrupter interrupter;
  std::unique_lock<std::mutex> lock(s.mutex);
  for (;;) {
    s.idle++;
    bool some = s.changed.wait_for(lock, kIdle, [&] { return !s.queue.empty(); });
    s.idle--;
    if (!some) break;
    int fd = s.queue.front();
    s.queue.pop_front();
    lock.unlock();
    interrupter.arm(true);
    ::close(fd);
    interrupter.arm(false);
    lock.lock();
  }
  s.threads--;
  return nullptr;
}

// Returns false where no more threads can be started.
bool startThread() {
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGURG);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  bool started = pthread_create(&thread, nullptr, work, nullptr) == 0;
  if (started) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace

void close(Fd fd) {
  if (!fd.valid()) return;
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.queue.push_back(fd.release());
  // Those that are idle take one each.
  if (size_t(s.idle) < s.queue.size() && s.threads < kMaxThreads && startThread()) s.threads++;
  s.changed.notify_one();
}

void close(std::vector<Fd> fds) {
  for (Fd& fd : fds) close(std::move(fd));
}

namespace {

// Returns false where that is not possible.
bool send(int to, const int (&fds)[2]) {
  char nothing = 0;
  iovec iov{&nothing, sizeof nothing};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(c), fds, sizeof fds);
  return sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

}  // namespace

void leaveToKernel(Fd fd) {
  if (!fd.valid()) return;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) {
    close(std::move(fd));
    return;
  }
  Fd sender(pair[0]), receiver(pair[1]);
  if (send(sender.get(), {fd.get(), receiver.get()})) fd.reset();
  else close(std::move(fd));
  // Older kernels look for what is lost, and close it, before these calls return.
  close(std::move(sender));
  close(std::move(receiver));
}

}  // namespace closer

}  // namespace rn
