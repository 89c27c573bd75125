/**
 * `rootless-run systemd install|uninstall|status`: the stack as a unit of the user's service manager.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { execa } from 'execa';
import { StackClient } from '../parent/api/client.js';
import { errorCode, errorText, UsageError, UserError } from '../parent/errors.js';
import { log, setLinePrefix } from '../parent/log.js';
import { SERVICE, serviceUnit, socketName, socketUnit } from '../parent/systemd/units.js';
import { packageFile } from '../protocol/paths.js';
import { formatPortSpec, parsePortSpecs } from '../protocol/port-spec.js';
import type { PortSpec } from '../protocol/ports.js';
import { rootlessRun } from './dialect.js';
import { parseCommandLine } from './run-options.js';
import { explain } from './run-program.js';
import { configDirectory, makeServeCommand } from './serve.js';
import { portTable } from './stack-text.js';

/** Resolves with the exit code. */
export async function systemd(args: readonly string[]): Promise<number> {
  setLinePrefix(rootlessRun.linePrefix);
  let code = 0;
  const command = makeSystemdCommand(async () => {
    code = await status();
  });
  try {
    await command.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      return explain(new UsageError(error.message.replace(/^error: /, '').replaceAll('\n', ' ')), rootlessRun);
    }
    return explain(error, rootlessRun);
  }
}

interface InstallOptions {
  socket: string[];
  start: boolean;
}

export function makeSystemdCommand(onStatus: () => Promise<void> = async () => {}): Command {
  const collect = (value: string, before: string[]) => [...before, value];
  const command = new Command('rootless-run systemd')
    .description("Run the stack as a service of the user's systemd.")
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  command
    .command('install')
    .description('write the unit, enable it and start it; what follows -- are options of rootless-run serve')
    .usage('[options] [-- SERVE-OPTION...]')
    .argument('[serve-option...]')
    .option(
      '-s, --socket <spec>',
      'a published port whose socket systemd opens: before the start, and below 1024 too; may be repeated',
      collect,
      [],
    )
    .option('--no-start', 'only write the units')
    .action((options: string[], values: InstallOptions) => install(options, values));
  command
    .command('uninstall')
    .description('stop the service, and remove its units')
    .option('--purge', 'remove the kept ports as well')
    .action(({ purge = false }: { purge?: boolean }) => uninstall(purge));
  command.command('status').description('show the unit and its ports').action(onStatus);
  return command;
}

async function install(serveOptions: readonly string[], { socket, start }: InstallOptions): Promise<void> {
  // Refused here rather than by the service.
  parseCommandLine(serveOptions, rootlessRun, { needsCommand: false, command: makeServeCommand() });
  const specs = socket.flatMap(parsePortSpecs);
  const ours = specs.find(({ parentPort, childIP }) => parentPort === 0 || childIP !== undefined);
  if (ours) {
    throw new UsageError(
      `${formatPortSpec(ours)} cannot be a socket of systemd: it needs a port of its own, and no address inside; use rootlessctl add-ports --persist`,
    );
  }
  const program = [process.execPath, packageFile('dist/bin/rootless-run.cjs'), 'serve', ...serveOptions];
  const first = await firstUnprivilegedPort();
  if (specs.some(({ parentPort }) => parentPort < first)) return await installForSystem(program, specs, first);

  // Nothing is written where nothing could be started.
  if (start) await systemctl('show', '--property=Version');
  const directory = userUnits();
  const sockets = specs.map(socketName);
  await remove(directory, await ownUnits(directory));
  await write(directory, SERVICE, serviceUnit({ command: program, sockets }));
  for (const spec of specs) await write(directory, socketName(spec), socketUnit(spec, SERVICE));
  if (!start) return;
  await systemctl('daemon-reload');
  await systemctl('enable', SERVICE, ...sockets);
  // Sockets can only be opened for a service that does not run.
  if (sockets.length > 0) await systemctl('stop', SERVICE);
  if (sockets.length > 0) await systemctl('restart', ...sockets);
  await systemctl('restart', SERVICE);
  print(`${SERVICE} runs; rootlessctl --socket "$XDG_RUNTIME_DIR/rootless-net/api.sock" list-ports shows its ports`);
  if (!(await lingers())) print(`it ends when you log out; to keep it: loginctl enable-linger ${userInfo().username}`);
}

/**
 * The user's manager is a process of the user, and may not open these ports either; the system's may. So the pair of
 * units is for the administrator, who installs it once; the stack still runs as the user.
 */
async function installForSystem(program: readonly string[], specs: readonly PortSpec[], first: number): Promise<void> {
  const { username, uid } = userInfo();
  const directory = join(configDirectory(), 'system');
  const service = `rootless-net-${username}.service`;
  const own = (name: string) => name.replace(/^rootless-net-/, `rootless-net-${username}-`);
  const sockets = specs.map((spec) => own(socketName(spec)));
  await remove(directory, await ownUnits(directory));
  await write(directory, service, serviceUnit({ command: program, sockets, user: { name: username, uid } }));
  for (const spec of specs) await write(directory, own(socketName(spec)), socketUnit(spec, service));
  print(`ports below ${first} can only be opened by the system's systemd; to install these units, once:`);
  print(`  sudo cp ${directory}/${`rootless-net-${username}`}* /etc/systemd/system/`);
  print(`  sudo systemctl daemon-reload && sudo systemctl enable --now ${[...sockets, service].join(' ')}`);
}

async function uninstall(purge: boolean): Promise<void> {
  const directory = userUnits();
  const units = await ownUnits(directory);
  if (units.length > 0) {
    await systemctl('disable', '--now', ...units).catch((error: unknown) => log.warn(errorText(error)));
    await remove(directory, units);
    await systemctl('daemon-reload').catch((error: unknown) => log.warn(errorText(error)));
  }
  const prepared = join(configDirectory(), 'system');
  await remove(prepared, await ownUnits(prepared));
  if (purge) await rm(join(configDirectory(), 'ports.json'), { force: true });
}

/** Resolves with 0 where the service runs, 3 where not (as systemctl status). */
async function status(): Promise<number> {
  const units = await ownUnits(userUnits());
  if (!units.includes(SERVICE)) {
    print('not installed; to install it: rootless-run systemd install');
    return 3;
  }
  const properties = ['ActiveState', 'SubState', 'UnitFileState', 'StatusText', 'MainPID', 'NRestarts', 'Result'];
  const shown = await systemctl('show', SERVICE, `--property=${properties.join(',')}`);
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(shown)?.[1] ?? '';
  print(`${SERVICE}: ${value('ActiveState')} (${value('SubState')}), ${value('UnitFileState')}`);
  for (const unit of units.filter((name) => name !== SERVICE)) print(`${unit}: ${(await active(unit)).trim()}`);
  if (value('ActiveState') !== 'active') {
    print(`result ${value('Result')}, ${value('NRestarts')} restarts; to see why: journalctl --user -u ${SERVICE}`);
    return 3;
  }
  print(`pid ${value('MainPID')}, ${value('NRestarts')} restarts: ${value('StatusText')}`);
  const stateDir = /state directory (.*)$/.exec(value('StatusText'))?.[1];
  if (stateDir !== undefined) {
    const ports = await new StackClient(join(stateDir, 'api.sock')).listPorts({ counters: true });
    process.stdout.write(portTable(ports));
  }
  return 0;
}

function userUnits(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'systemd', 'user');
}

/** The units of ours that are there, the service first. */
async function ownUnits(directory: string): Promise<string[]> {
  const names: string[] = await readdir(directory).catch(() => []);
  return names.filter((name) => /^rootless-net(-.*)?\.(service|socket)$/.test(name)).sort();
}

async function write(directory: string, name: string, text: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, name), text);
  } catch (error) {
    throw new UserError(`cannot write the unit ${join(directory, name)}: ${errorCode(error) || errorText(error)}`);
  }
}

async function remove(directory: string, units: readonly string[]): Promise<void> {
  for (const unit of units) await rm(join(directory, unit), { force: true });
}

/** What `systemctl --user` prints. Throws UserError. */
async function systemctl(...args: string[]): Promise<string> {
  const result = await execa('systemctl', ['--user', ...args], { reject: false, all: true, stdin: 'ignore' });
  if (result.exitCode === 0) return result.stdout;
  const said = result.all?.trim().split('\n')[0] || result.shortMessage;
  throw new UserError(
    `systemctl --user ${args.join(' ')} failed: ${said}; a user manager has to run (loginctl enable-linger, or log in), and journalctl --user -u ${SERVICE} tells more`,
  );
}

async function active(unit: string): Promise<string> {
  return (await execa('systemctl', ['--user', 'is-active', unit], { reject: false, stdin: 'ignore' })).stdout ?? '';
}

async function firstUnprivilegedPort(): Promise<number> {
  return Number(await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '1024'));
}

async function lingers(): Promise<boolean> {
  const names: string[] = await readdir('/var/lib/systemd/linger').catch(() => []);
  return names.includes(userInfo().username);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
