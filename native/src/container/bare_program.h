/*
 * The base of programs that run in any root file system, which may have no C library, or a different one: they use none, and
 * make their system calls directly. Each defines begin(), which gets the stack as the kernel made it. There is no loader to
 * relocate them, so they must not have initialised pointers outside of functions.
 */
#pragma once

#include <asm/unistd.h>
#include <stddef.h>

enum { ENOENT = 2, EINTR = 4, EAGAIN = 11, EACCES = 13, ENOTDIR = 20 };
enum { PATH_SIZE = 4096 };

static long syscall4(long number, long a, long b, long c, long d);
static long syscall5(long number, long a, long b, long c, long d, long e);

#if defined(__x86_64__)
__asm__(
    ".text\n.globl _start\n.type _start,@function\n_start:\n"
    "  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n  hlt\n");

static long syscall5(long number, long a, long b, long c, long d, long e) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
__asm__(
    ".text\n.globl _start\n.type _start,%function\n_start:\n"
    "  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  bl begin\n  brk #0\n");

static long syscall5(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#else
#error "binding.gyp builds this for x64 and arm64 only"
#endif

static long syscall4(long number, long a, long b, long c, long d) { return syscall5(number, a, b, c, d, 0); }

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') length++;
  return length;
}

static void print(const char *text) { syscall4(__NR_write, 2, (long)text, (long)length_of(text), 0); }

static _Noreturn void leave(int code) {
  for (;;) syscall4(__NR_exit_group, code, 0, 0, 0);
}

static int contains(const char *text, char wanted) {
  for (; *text != '\0'; text++) {
    if (*text == wanted) return 1;
  }
  return 0;
}

/* The value of PATH; what the C library takes where there is none. */
static const char *search_path(char **environment) {
  for (; *environment != NULL; environment++) {
    const char *text = *environment;
    if (text[0] == 'P' && text[1] == 'A' && text[2] == 'T' && text[3] == 'H' && text[4] == '=') return text + 5;
  }
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* Returns only where the program cannot be executed, with the error. */
static long execute(char **words, char **environment) {
  const char *name = words[0];
  if (contains(name, '/')) return -syscall4(__NR_execve, (long)name, (long)words, (long)environment, 0);
  long failure = ENOENT;
  const char *path = search_path(environment);
  for (;;) {
    char file[PATH_SIZE];
    size_t at = 0, end = length_of(name);
    for (; path[at] != '\0' && path[at] != ':'; at++) {
      if (at < PATH_SIZE) file[at] = path[at];
    }
    if (at < PATH_SIZE - 2 && end < PATH_SIZE - 2 - at) {
      size_t begin = at;
      if (begin > 0) file[begin++] = '/';
      for (size_t i = 0; i <= end; i++) file[begin + i] = name[i];
      long error = -syscall4(__NR_execve, (long)file, (long)words, (long)environment, 0);
      /* As execvp(3): what cannot be executed is an error only where nothing else is found. */
      if (error != ENOENT && error != ENOTDIR) {
        if (error != EACCES) return error;
        failure = error;
      }
    }
    if (path[at] != ':') return failure;
    path += at + 1;
  }
}
