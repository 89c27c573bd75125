/** Installs and removes the units of the stack. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { errorText, UsageError, UserError } from '../../parent/errors.js';
import { log } from '../../parent/log/log.js';
import { configDirectory, defaultStateDir } from '../../parent/state/user-directories.js';
import { type RunningStack, runningStack } from '../../parent/systemd/running-stack.js';
import { SERVICE, serviceUnit, socketName, socketUnit } from '../../parent/systemd/units.js';
import { packageFile } from '../../protocol/paths.js';
import { formatPortMapping, parsePortSpec } from '../../protocol/ports/grammar.js';
import { type PortMapping, singles } from '../../protocol/ports/port-mapping.js';
import { printTrusted as print } from '../common/print.js';
import { rootlessRun } from '../run/dialect.js';
import { parseCommandLine } from '../run/options/parse.js';
import { makeServeCommand } from '../run/serve.js';
import { endStack, stackToReplace } from './replace-stack.js';
import { checkUserManager, restartService, systemctl } from './systemctl.js';
import {
  installationLines,
  installedInSystem,
  ownUnits,
  preparedUnits,
  removalLines,
  removeUnits,
  systemName,
  systemServiceName,
  userRemovalLine,
  userUnits,
  writeUnit,
} from './unit-files.js';

/** A unit and its text. */
type Unit = [name: string, text: string];

export interface InstallOptions {
  socket: string[];
  start: boolean;
  replace: boolean;
}

/** Throws UsageError and UserError. */
export async function install(serveOptions: readonly string[], values: InstallOptions): Promise<void> {
  // Invalid options are reported here, not by the service.
  const request = parseCommandLine(serveOptions, rootlessRun, { needsCommand: false, command: makeServeCommand() });
  const { stateDir } = request.options;
  // Each socket has a unit of its own.
  const ports = [...singles(values.socket.map(parsePortSpec))];
  const unsuitable = ports.find(({ host, target }) => host.port === 0 || target.ip !== '');
  if (unsuitable) {
    throw new UsageError(
      `invalid --socket ${JSON.stringify(formatPortMapping(unsuitable))}: systemd sockets require a fixed parentPort and no childIP`,
      { hint: 'use rootlessctl add-ports --persist' },
    );
  }
  const program = [packageFile('dist/bin/rootless-run'), 'serve', ...serveOptions];
  const firstPort = await firstUnprivilegedPort();
  if (ports.some(({ host }) => host.port < firstPort)) {
    return await installForSystem({ program, ports, firstPort, stateDir });
  }
  await installForUser({ program, ports, stateDir, ...values });
}

interface UserInstallation {
  program: readonly string[];
  ports: readonly PortMapping[];
  stateDir: string | undefined;
  start: boolean;
  replace: boolean;
}

async function installForUser({ program, ports, stateDir, start, replace }: UserInstallation): Promise<void> {
  const sockets = ports.map(socketName);
  const units: Unit[] = [
    [SERVICE, serviceUnit({ command: program, node: process.execPath, sockets })],
    ...ports.map((port): Unit => [socketName(port), socketUnit(port, SERVICE)]),
  ];
  const [system] = await installedInSystem();
  if (system !== undefined) {
    throw new UserError(`${system} of the system's service manager runs this stack`, {
      hint: 'rootless-run systemd uninstall shows how to remove it',
    });
  }
  // Before anything is written, in case nothing can be started.
  if (start) await checkUserManager();
  const old = start ? await stackToReplace(stateDir ?? defaultStateDir(), replace) : undefined;
  const directory = userUnits();
  const before = await ownUnits(directory);
  if (start && before.length > 0) await systemctl('disable', ...before);
  const obsolete = before.filter((unit) => !units.some(([name]) => name === unit));
  if (start && obsolete.length > 0) await systemctl('stop', ...obsolete);
  await removeUnits(directory, before);
  for (const [name, text] of units) await writeUnit(directory, name, text);
  if (!start) return;
  await systemctl('daemon-reload');
  await systemctl('enable', SERVICE, ...sockets);
  if (old !== undefined) {
    await endStack(old);
    print(`stopped the stack that was running as process ${old.pid}`);
  }
  // systemd opens sockets only for a service that is not running.
  if (sockets.length > 0) await systemctl('stop', SERVICE);
  if (sockets.length > 0) await systemctl('restart', ...sockets);
  await restartService();
  print(
    `${SERVICE} is running; rootlessctl --socket "$XDG_RUNTIME_DIR/rootless-net/api.sock" list-ports shows its ports`,
  );
  if (!(await lingers()))
    print(`it stops when you log out; to keep it running: loginctl enable-linger ${userInfo().username}`);
}

interface SystemInstallation {
  program: readonly string[];
  ports: readonly PortMapping[];
  /** The first port that unprivileged users may listen on. */
  firstPort: number;
  stateDir: string | undefined;
}

/**
 * The user's service manager is a process of the user, and may not open these ports; the system's may. So the units are for
 * the administrator, who installs them once; the stack still runs as the user.
 */
async function installForSystem({ program, ports, firstPort, stateDir }: SystemInstallation): Promise<void> {
  const { username, uid } = userInfo();
  const service = systemServiceName();
  const sockets = ports.map((port) => systemName(socketName(port)));
  const user = { name: username, uid };
  const units: Unit[] = [
    [service, serviceUnit({ command: program, node: process.execPath, sockets, user })],
    ...ports.map((port): Unit => [systemName(socketName(port)), socketUnit(port, service)]),
  ];
  const directory = preparedUnits();
  await removeUnits(directory, await ownUnits(directory));
  for (const [name, text] of units) await writeUnit(directory, name, text);
  const names = units.map(([name]) => name);
  const running = await runningStack(stateDir ?? `/run/user/${uid}/rootless-net`, service);
  print(`ports below ${firstPort} can only be opened by the system's systemd; to install these units:`);
  for (const line of [
    ...(await stopLines(running)),
    ...removalLines((await installedInSystem()).filter((unit) => !names.includes(unit))),
    // systemd opens sockets only for a service that is not running.
    ...(running?.by === 'system-service' ? [`sudo systemctl stop ${service}`] : []),
    ...installationLines(directory, names),
  ]) {
    print(`  ${line}`);
  }
}

/** Commands that stop the running stack before the system's service runs it. */
async function stopLines(running: RunningStack | undefined): Promise<string[]> {
  const directory = userUnits();
  const units = await ownUnits(directory);
  return [
    ...(running?.by === 'itself' ? [`kill ${running.pid}`] : []),
    ...(units.length > 0 ? [userRemovalLine(directory, units)] : []),
  ];
}

/** Stops the service, and removes its units. Throws UserError. */
export async function uninstall(purge: boolean): Promise<void> {
  const directory = userUnits();
  const units = await ownUnits(directory);
  if (units.length > 0) {
    await systemctl('disable', '--now', ...units).catch((error: unknown) => log.warn(errorText(error)));
    await removeUnits(directory, units);
    await systemctl('daemon-reload').catch((error: unknown) => log.warn(errorText(error)));
  }
  const prepared = preparedUnits();
  await removeUnits(prepared, await ownUnits(prepared));
  if (purge) await rm(join(configDirectory(), 'ports.json'), { force: true });
  const system = await installedInSystem();
  if (system.length === 0) return;
  print("the system's service manager has units of this stack, which only an administrator can remove:");
  for (const line of removalLines(system)) print(`  ${line}`);
}

async function firstUnprivilegedPort(): Promise<number> {
  return Number(await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '1024'));
}

async function lingers(): Promise<boolean> {
  const names: string[] = await readdir('/var/lib/systemd/linger').catch(() => []);
  return names.includes(userInfo().username);
}
