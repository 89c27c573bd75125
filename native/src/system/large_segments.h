/*
 * Lets the loopback device of this network namespace carry TCP segments of up to 512 KiB in one piece ("BIG TCP", Linux
 * 6.3 for IPv4), where 64 KiB is the default: what a segment costs on its way is then spread over eight times as many
 * bytes. An errno; EOPNOTSUPP where the kernel knows it for IPv6 only, or not at all.
 */
#pragma once
int allow_large_segments(void);
