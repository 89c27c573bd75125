/**
 * `rootless-run serve`: the stack without a command, as a service. It lasts until SIGTERM or SIGINT; SIGHUP makes it read
 * the file of kept ports again.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../parent/errors.js';
import { log, setLinePrefix } from '../parent/log.js';
import { Stack } from '../parent/stack.js';
import { takeActivatedPorts } from '../parent/systemd/activated-ports.js';
import { Notifier } from '../parent/systemd/notifier.js';
import { rootlessRun } from './dialect.js';
import { defaultStateDir } from './find-stack.js';
import { setProcessName } from './process-name.js';
import { makeCommand, parseCommandLine } from './run-options.js';
import { checkWorkingDirectory, explain } from './run-program.js';

/** Directory of the user's settings (XDG Base Directory Specification). */
export function configDirectory(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'rootless-net');
}

/** Where containers are kept (XDG Base Directory Specification), and networks, as other CNI runtimes look for them. */
function containerDirectories(): { dataDir: string; confDir: string } {
  const home = homedir();
  return {
    dataDir: join(process.env.XDG_DATA_HOME || join(home, '.local', 'share'), 'rootless-net'),
    confDir: join(process.env.XDG_CONFIG_HOME || join(home, '.config'), 'cni', 'net.d'),
  };
}

export function makeServeCommand() {
  return makeCommand(rootlessRun)
    .name('rootless-run serve')
    .usage('[options]')
    .description(
      'Run the stack without a command until it is told to end, as a service: ports are added by rootlessctl, programs enter with nsenter.',
    );
}

/** Resolves with the exit code. */
export async function serve(args: readonly string[]): Promise<number> {
  setLinePrefix(rootlessRun.linePrefix);
  setProcessName(rootlessRun.name);
  const notifier = Notifier.fromEnvironment((line) => log.warn(line));
  try {
    return await run(args, notifier);
  } catch (error) {
    return explain(error, rootlessRun);
  } finally {
    notifier.stopWatchdog();
  }
}

async function run(args: readonly string[], notifier: Notifier): Promise<number> {
  const command = makeServeCommand();
  const { options, debug, warnings } = parseCommandLine(args, rootlessRun, { needsCommand: false, command });
  if (debug) log.setLevel('debug');
  checkWorkingDirectory();
  for (const warning of warnings) log.warn(warning);

  const abort = new AbortController();
  let stop = () => abort.abort(new UserError('ended while starting'));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop());
  let reload = async () => {};
  process.on('SIGHUP', () => void reload());

  const stack = await Stack.start(
    {
      ...options,
      stateDir: options.stateDir ?? defaultStateDir(),
      adopt: takeActivatedPorts((line) => log.warn(line)),
      keptPorts: join(configDirectory(), 'ports.json'),
      ...(options.net === 'host' ? {} : { containers: containerDirectories() }),
    },
    log,
    abort.signal,
  );
  const stopped = new Promise<true>((resolve) => {
    stop = () => resolve(true);
    // Too late to end the start.
    if (abort.signal.aborted) stop();
  });
  const status = () => {
    const count = stack.ports?.list().length ?? 0;
    const network = stack.info.networkDriver?.driver ?? 'host';
    return `${count} port${count === 1 ? '' : 's'} published, network ${network}, state directory ${stack.info.stateDir}`;
  };
  reload = async () => {
    notifier.reloading();
    await stack.publishKept();
    notifier.ready(status());
  };
  stack.events.subscribe(
    ({ type }) => {
      if (type === 'port-added' || type === 'port-removed') notifier.status(status());
    },
    { connections: false },
  );
  notifier.ready(status());
  notifier.startWatchdog(() => stack.healthy());
  try {
    const asked = await Promise.race([stopped, stack.wait().then(() => false)]);
    if (asked) notifier.stopping('ending');
    else log.error('the namespaces were ended from outside');
    return asked ? 0 : 1;
  } finally {
    await stack.close();
  }
}
