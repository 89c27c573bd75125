/* Listening Unix sockets at a path. */
#pragma once

/*
 * Listens at that path, for its owner alone, in place of what is there. `flags` are added to the type of socket(2).
 * Returns -1 with errno.
 */
int unix_listen(const char *path, int flags, int backlog);
