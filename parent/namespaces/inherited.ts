/**
 * What the command inherits beyond the standard streams: descriptors that whoever started us left open for it, sockets of
 * systemd above all (sd_listen_fds(3)), under the same numbers.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** The first descriptor after the standard streams, and the first that systemd passes (SD_LISTEN_FDS_START). */
export const FIRST_FD = 3;

/** Flag of an open descriptor that execve(2) closes, in octal as /proc/PID/fdinfo shows it (proc(5)). */
const CLOSED_ON_EXEC = 0o2000000;

/**
 * The descriptors right from FIRST_FD on that we have inherited, up to the first one that we have not. Node opens its own
 * to be closed on exec, so those that are not were there before it; and those are inherited by what we start in turn.
 */
export function inheritedDescriptors(): number[] {
  const open = new Set(readdirSync('/proc/self/fdinfo').map(Number));
  const inherited: number[] = [];
  for (let fd = FIRST_FD; open.has(fd) && !isClosedOnExec(fd); fd++) inherited.push(fd);
  return inherited;
}

function isClosedOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
    return (Number.parseInt(flags, 8) & CLOSED_ON_EXEC) !== 0;
  } catch {
    // The one that the directory was read through.
    return true;
  }
}

/**
 * The variables of systemd's socket activation, as the launcher is to have them: it puts the command's pid for ours.
 * Those that are meant for another process, though we inherited them, go no further.
 */
export function activation(): Record<string, string | undefined> {
  if (process.env.LISTEN_PID === String(process.pid)) return {};
  return { LISTEN_PID: undefined, LISTEN_FDS: undefined, LISTEN_FDNAMES: undefined };
}
