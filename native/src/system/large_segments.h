/*
 * Lets the loopback device of this network namespace carry TCP segments of up to 512 KiB in one piece ("BIG TCP", Linux
 * 6.3 for IPv4), where 64 KiB is the default: the cost of a segment is then spread over eight times as many bytes. Returns 0
 * or an errno; EOPNOTSUPP where the kernel supports it for IPv6 only, or not at all.
 */
#pragma once
int allow_large_segments(void);
