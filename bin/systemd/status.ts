/** `rootless-run systemd status`. */

import { StackClient } from '../../parent/client/stack-client.js';
import { defaultStateDir } from '../../parent/state/user-directories.js';
import { runningStack } from '../../parent/systemd/running-stack.js';
import { SERVICE } from '../../parent/systemd/units.js';
import { statePath } from '../../protocol/state/state-layout.js';
import { printTrusted as print } from '../common/print.js';
import { portTable } from '../ctl/stack-text.js';
import { properties } from './systemctl.js';
import {
  installationLines,
  installedInSystem,
  ownUnits,
  preparedUnits,
  systemServiceName,
  userUnits,
} from './unit-files.js';

/** Shows the units. Resolves with 0 if the service is running, 3 if not (as systemctl status). */
export async function status(): Promise<number> {
  const system = await installedInSystem();
  const user = await ownUnits(userUnits());
  const prepared = await ownUnits(preparedUnits());
  const states = [
    ...(user.includes(SERVICE) ? [await showUnits(SERVICE, user, '--user')] : []),
    ...(system.length > 0 ? [await showUnits(systemServiceName(), system, '--system')] : []),
  ];
  if (prepared.length > 0 && system.length === 0) {
    print("prepared for the system's service manager, but not installed there; to install them:");
    for (const line of installationLines(preparedUnits(), prepared)) print(`  ${line}`);
  } else if (states.length === 0) {
    print('not installed; to install it: rootless-run systemd install');
  }
  const runs = states.includes(true);
  const running = runs ? undefined : await runningStack(defaultStateDir(), systemServiceName()).catch(() => undefined);
  if (running) print(`a stack that is not a unit is running as process ${running.pid}`);
  return runs ? 0 : 3;
}

/** Resolves with whether the service is running. */
async function showUnits(service: string, units: readonly string[], manager: '--user' | '--system'): Promise<boolean> {
  const names = ['ActiveState', 'SubState', 'UnitFileState', 'StatusText', 'MainPID', 'NRestarts', 'Result'] as const;
  const shown = await properties(service, names, manager);
  const whose = manager === '--system' ? " of the system's service manager" : '';
  print(`${service}${whose}: ${shown.ActiveState} (${shown.SubState}), ${shown.UnitFileState}`);
  for (const unit of units.filter((name) => name !== service)) {
    print(`${unit}: ${(await properties(unit, ['ActiveState'], manager)).ActiveState}`);
  }
  if (shown.ActiveState !== 'active') {
    const reported = shown.StatusText === '' ? '' : `: ${shown.StatusText}`;
    const journal = `journalctl ${manager === '--user' ? '--user ' : ''}-u ${service}`;
    print(`result ${shown.Result}, ${shown.NRestarts} restarts${reported}; to see why: ${journal}`);
    return false;
  }
  print(`pid ${shown.MainPID}, ${shown.NRestarts} restarts: ${shown.StatusText}`);
  const stateDir = /state directory (.*)$/.exec(shown.StatusText)?.[1];
  if (stateDir !== undefined) {
    const ports = await new StackClient(statePath(stateDir, 'apiSocket')).listPorts({ counters: true });
    process.stdout.write(portTable(ports));
  }
  return true;
}
