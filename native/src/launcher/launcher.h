/*
 * What the files of the launcher share. main.c has the conversation with the parent and the order of things; requests.c has
 * the table of all requests.
 */
#pragma once
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

enum { MAX_PACKET = 192 * 1024, MAX_WORDS = 4096, MAX_FDS = 4, MAX_REPLY_FDS = 8 };

/* --- control.c: the control socket ------------------------------------------------------------------------------- */

/* The packet that was received last: words[0] is the request's name. */
struct request {
  char *words[MAX_WORDS + 1]; /* NULL-terminated */
  int count;
  int fds[MAX_FDS];
  int fd_count;
};
extern struct request request;
extern int control;

/* Sends words as one packet; the list ends with NULL. */
void send_words(const char *first, ...);
/* The same, with at most MAX_REPLY_FDS descriptors, which stay open here. */
void send_with_fds(const int *fds, int fd_count, const char *first, ...);
void send_number(const char *word, long number);
/* Replies that a request failed: errno, what was done ("mount tmpfs on"), and to what, or NULL. */
void reply_error(int error, const char *what, const char *object);
/* Receives one packet into `request`. Returns 0 at the end of the socket, and for a packet that is too large. */
int receive_request(void);
void close_request_fds(void);
/* A duplicate of the descriptor that came with the request; -1 with an errno (EBADF: there was none). */
int keep_request_fd(void);

/* --- requests.c: the table of requests --------------------------------------------------------------------------- */

/* While the ids are being mapped, while the namespaces are set up, and while the command runs. */
enum phase { PHASE_ID_MAP = 1, PHASE_SETUP = 2, PHASE_RUNNING = 4 };

enum outcome {
  DONE,    /* the reply is "ok" */
  REPLIED, /* the handler has sent its own reply, or the request has none */
  FAILED,  /* the handler has replied with the error */
};

/* Replies with an error, and returns FAILED. */
enum outcome fail(int error, const char *what, const char *object);
/* Handles the request that was received, if it is valid in this phase; otherwise replies with an error. */
enum outcome dispatch(enum phase phase);

/* --- namespaces.c ------------------------------------------------------------------------------------------------ */

/* The flags (CLONE_NEW…) of a list such as "mnt,net"; -1 for an unknown name. */
int parse_namespaces(char *list);
/* Enters new namespaces. Returns 0, or -1 after it has replied with the error. */
int unshare_namespaces(int flags);
/*
 * Runs `task`, which returns an errno, in the network namespace that is set up: the detached one if there is one, else this
 * process's own. Returns an errno.
 */
int in_netns(int (*task)(void));
/* For a new process: enters the detached network namespace, if there is one. Returns an errno. */
int enter_detached_netns(void);
enum outcome request_detach_netns(void);

/* --- network.c: requests about devices and settings of the network namespace -------------------------------------- */

enum outcome request_loopback_up(void);
enum outcome request_congestion_control(void);
enum outcome request_large_segments(void);
enum outcome request_tap(void);
enum outcome request_multicast(void);
enum outcome request_has_default_route(void);
enum outcome request_gateway(void);
enum outcome request_socket_orders(void);
/* Where orders come (inbound/socket_orders.h); -1 while there are none. */
extern int socket_orders;
void serve_socket_orders(void);

/* --- mounts.c, copy_up.c ------------------------------------------------------------------------------------------ */

enum outcome request_propagation(void);
enum outcome request_mount_proc(void);
enum outcome request_mount_sysfs(void);
enum outcome request_mount_cgroup2(void);
enum outcome request_bind_file(void);
enum outcome request_copy_up(void);

/* --- id_map.c: running newuidmap and newgidmap -------------------------------------------------------------------- */

/* Forks the process that will run them, outside of the user namespace. Returns an errno. */
int fork_mapper(void);
/* Has the mapper run programs already: the words of a "map" request from the first program on. */
void map_early(const char *words, size_t size);
/* Ends the mapper if it has had no work, and waits for it. */
void end_mapper(void);
/* The namespaces that "map" or "mapped" asked for, as flags. */
extern int requested_namespaces;
enum outcome request_map(void);
enum outcome request_mapped(void);

/* --- signals.c ---------------------------------------------------------------------------------------------------- */

/*
 * Blocks the signals that the launcher handles, which so stay pending until the command runs, and remembers the mask and the
 * disposition of SIGCHLD for the command.
 */
void block_signals(void);
void open_signal_fd(void);
/* Gives a new process the signal mask and dispositions that this program was started with. */
void restore_signals(void);
extern int signal_fd;
/* Handles pending signals; `awaited` is the command, 0 if there is none. Returns 1 when it has ended, and sets *status. */
int read_signals(pid_t awaited, int *status);
enum outcome request_signal(void);

/* --- activation.c: descriptors that the command inherits, and sockets that it is given (sd_listen_fds(3)) ---------- */

/* Finds descriptors other than the control socket, and sets close-on-exec: only the command inherits them. */
void find_inherited(void);
void close_inherited(void);
/*
 * In the command's process: passes on what was inherited, and gives the activated sockets their numbers. `others` are
 * descriptors (NULL-terminated) that are needed until exec; they are moved out of the way. Returns an errno.
 */
int pass_on_descriptors(int **others);
/* Once the command has them: a listener is gone when its last holder closes it, and so is the end of a pipe. */
void forget_descriptors(void);
enum outcome request_activate(void);

/* --- processes.c: the command and helpers --------------------------------------------------------------------------- */

/* Has this process killed when `parent` ends; exits if it has ended already. */
void die_with(pid_t parent, int death_signal);
/* The command's pid; 0 after "idle", -1 before either. */
extern pid_t command;
/* After a child was reaped: forgets it as a helper, and reports the end of a program. */
void child_ended(pid_t pid, int status);
enum outcome request_environment(void);
enum outcome request_bypass(void);
enum outcome request_more(void);
enum outcome request_run(void);
enum outcome request_idle(void);
enum outcome request_start(void);
enum outcome request_kill_helper(void);
enum outcome request_program(void);
enum outcome request_program_signal(void);
