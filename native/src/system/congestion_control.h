/*
 * Sets the first of `names` (NULL-terminated) that this network namespace may use as its congestion control, if the one that
 * it has now paces (bbr; inherited from the initial namespace, not from the parent's). Pacing makes loopback, and pairs of
 * devices, several times slower. Returns 0 or an errno.
 */
#pragma once
int avoid_pacing(const char *const *names);
