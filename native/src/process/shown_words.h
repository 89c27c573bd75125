#ifndef SHOWN_WORDS_H
#define SHOWN_WORDS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Set what other processes see of this one in /proc/PID/cmdline and /proc/PID/environ (proc(5)): words that end with a NUL
 * each, which are copied. No privilege is needed, but a kernel with CONFIG_CHECKPOINT_RESTORE (PR_SET_MM_MAP in prctl(2)).
 * Both return 0 or an errno, and then nothing has changed.
 */
int show_command_line(const char *words, size_t size);
int show_environment(const char *words, size_t size);

#ifdef __cplusplus
}
#endif

#endif
