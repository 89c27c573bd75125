#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launcher/launcher.h"

enum { LAST_SIGNAL = 64 };

int signal_fd = -1;

static sigset_t handled_signals;
static sigset_t original_mask;
/* Whether SIGCHLD was ignored when this program started. Here it cannot be, since children are waited for. */
static int ignored_sigchld;

/*
 * From the first moment on, so that a signal to the whole process group does not end the launcher before the parent, which
 * undoes everything in order. Signals stay pending until the command runs, and are for it then. Those that are ignored stay
 * so, for the command too.
 */
void block_signals(void) {
  ignored_sigchld = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
  sigfillset(&handled_signals);
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) sigdelset(&handled_signals, number);
  }
  const int others[] = {SIGPIPE, SIGURG, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) sigdelset(&handled_signals, others[i]);
  sigprocmask(SIG_BLOCK, &handled_signals, &original_mask);
}

void open_signal_fd(void) { signal_fd = signalfd(-1, &handled_signals, SFD_CLOEXEC | SFD_NONBLOCK); }

void restore_signals(void) {
  if (ignored_sigchld) signal(SIGCHLD, SIG_IGN);
  sigprocmask(SIG_SETMASK, &original_mask, NULL);
}

/*
 * A terminal sends its signals to the whole foreground group: the command has them already, and so do the parent and the
 * launcher. The parent forwards what it receives, which would double the signal. So a signal that came from the kernel (a
 * terminal) cancels the next forwarded one of that number, within a second.
 */
static struct timespec from_terminal[LAST_SIGNAL + 1];

static void note_terminal_signal(int number) {
  if (number > 0 && number <= LAST_SIGNAL) clock_gettime(CLOCK_MONOTONIC, &from_terminal[number]);
}

static int was_sent_by_terminal(int number) {
  struct timespec now;
  if (number < 1 || number > LAST_SIGNAL || from_terminal[number].tv_sec == 0) return 0;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const struct timespec *then = &from_terminal[number];
  long ms = (now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000;
  from_terminal[number].tv_sec = 0;
  return ms < 1000;
}

/* signal NUMBER: forwards it to the command. There is no reply. */
enum outcome request_signal(void) {
  int number = atoi(request.words[1]);
  if (command > 0 && !was_sent_by_terminal(number)) kill(command, number);
  return REPLIED;
}

static int reap_children(pid_t awaited, int *status) {
  int ended = 0, s;
  pid_t pid;
  while ((pid = waitpid(-1, &s, WNOHANG)) > 0) {
    child_ended(pid, s);
    if (pid == awaited) {
      *status = s;
      ended = 1;
    }
  }
  return ended;
}

int read_signals(pid_t awaited, int *status) {
  struct signalfd_siginfo info;
  int ended = 0;
  while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
    int number = (int)info.ssi_signo;
    if (number == SIGCHLD) {
      if (reap_children(awaited, status)) ended = 1;
    } else if (info.ssi_code == SI_KERNEL && (number == SIGINT || number == SIGQUIT || number == SIGWINCH)) {
      note_terminal_signal(number);
    } else if (awaited > 0) {
      kill(awaited, number);
    } else {
      /* The parent decides how to end in order; it may have received the signal, too. */
      send_number("signal", number);
    }
  }
  return ended;
}
