/* The console socket of OCI runtimes: how a container's terminal gets to its creator (runc, docs/terminals.md). */
#pragma once

/* Listens at that path. Returns -1 with errno. */
int console_listen(const char *path);
/* Receives the terminal's master from the runtime; waits for it. Returns -1 with errno. */
int console_receive(int listener);
