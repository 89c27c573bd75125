/**
 * Failures on demand, for tests of recovery: where ROOTLESS_NET_FAULTS names a file, each step of an attachment looks
 * into it. `fail MOMENT` makes that moment throw, `kill MOMENT` ends the agent there as SIGKILL would; once. A moment is
 * `begin`, or `before STEP` or `after STEP` as the journal has it.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';

export class InjectedFault extends Error {
  override name = 'InjectedFault';
}

export function faultsFromEnvironment(): (moment: string) => Promise<void> {
  const file = process.env.ROOTLESS_NET_FAULTS;
  if (file === undefined) return async () => {};
  return async (moment) => {
    if (!existsSync(file)) return;
    const [how = '', ...words] = readFileSync(file, 'utf8').trim().split(' ');
    if (words.join(' ') !== moment) return;
    rmSync(file);
    if (how === 'kill') process.kill(process.pid, 'SIGKILL');
    throw new InjectedFault(`a fault at "${moment}" was asked for`);
  };
}
