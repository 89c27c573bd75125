/**
 * `rootless-run serve`: the stack without a command, as a service. It runs until SIGTERM, SIGINT or SIGQUIT; SIGHUP makes it
 * reload the file of persistent ports.
 */
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorText, StateDirLockedError, UsageError, UserError } from '../../parent/errors.js';
import { log, setLinePrefix } from '../../parent/log/log.js';
import { confineThisProcess } from '../../parent/namespaces/confine.js';
import { LauncherEndedError } from '../../parent/namespaces/launcher.js';
import type { Stack } from '../../parent/stack/stack.js';
import { SIGNAL_LAG_MS, startStack } from '../../parent/stack/start.js';
import { configDirectory, containerDirectories, defaultStateDir } from '../../parent/state/user-directories.js';
import { takeActivatedPorts } from '../../parent/systemd/activated-ports.js';
import { Notifier } from '../../parent/systemd/notifier.js';
import { RUNS_ALREADY } from '../../parent/systemd/units.js';
import { getCaller } from '../common/caller.js';
import { EXIT } from '../common/failure.js';
import { setProcessName } from '../common/process-name.js';
import { rootlessRun } from './dialect.js';
import { makeRunCommand } from './options/command.js';
import { parseCommandLine } from './options/parse.js';
import { checkWorkingDirectory, reportFailure, setUpLog } from './run-program.js';
import { onSignal } from './signals.js';

/** Signals that end the stack at any time. */
const ENDING = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/** Longest interval for polling whether the stack is idle, in ms. */
const MAX_IDLE_POLL = 5_000;

const TEXT_AFTER = `The stack runs until SIGTERM, SIGINT or SIGQUIT; SIGHUP reloads the file of persistent ports. Exit code 0 after such a signal, 75 if the stack is already running, 125 if the command line is invalid, 1 on any other failure.

rootless-run systemd install installs it as a service that starts automatically.`;

export function makeServeCommand() {
  return makeRunCommand(rootlessRun, TEXT_AFTER)
    .name('rootless-run serve')
    .usage('[options]')
    .description('Run the stack without a command, as a service: rootlessctl adds ports, nsenter runs programs in it.')
    .option(
      '--stop-when-idle <seconds>',
      'end after that time without a running container, a port added by rootlessctl, or a request to the API; rootless-net starts stacks with it',
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
    notifier.status(errorText(error));
    const code = reportFailure(error, rootlessRun, EXIT.failed);
    return error instanceof StateDirLockedError ? RUNS_ALREADY : code;
  } finally {
    notifier.stopWatchdog();
  }
}

async function run(args: readonly string[], notifier: Notifier): Promise<number> {
  const command = makeServeCommand();
  const request = parseCommandLine(args, rootlessRun, { needsCommand: false, command });
  const { options, warnings } = request;
  setUpLog(request.log);
  const idle = parseIdleTime(command.opts<{ stopWhenIdle?: string }>().stopWhenIdle);
  checkWorkingDirectory();
  for (const warning of warnings) log.warn(warning);

  const abort = new AbortController();
  const ended = new UserError('terminated while starting');
  let stop = () => abort.abort(ended);
  const { ignoredSignals, launcher } = getCaller();
  for (const signal of ENDING) onSignal(signal, ignoredSignals, () => stop());
  let reload = async () => {};
  onSignal('SIGHUP', ignoredSignals, () => void reload().catch((error: unknown) => log.warn(errorText(error))));

  const starting = startStack(
    {
      ...options,
      ...(launcher && { launcher }),
      stateDir: options.stateDir ?? defaultStateDir(),
      adopt: takeActivatedPorts((line) => log.warn(line)),
      persistentPorts: join(configDirectory(), 'ports.json'),
      // Containers are never run in the host's network namespace.
      ...(options.net === 'host' && !options.detachNetns ? {} : { containers: containerDirectories() }),
    },
    log,
    abort.signal,
  );
  const stack = await starting.catch((error: unknown) => {
    if (error === ended) return undefined;
    throw error;
  });
  if (!stack) return 0;
  confineThisProcess((line) => log.debug(line));
  const stopped = new Promise<true>((resolve) => {
    stop = () => resolve(true);
    // Too late to abort the start.
    if (abort.signal.aborted) stop();
  });
  stack.onSignal((number) => {
    if (ENDING.some((name) => constants.signals[name] === number)) stop();
  });
  reload = async () => {
    notifier.reloading();
    await stack.keepInPlace();
    await stack.publishPersistent();
    notifier.ready(statusText(stack));
  };
  stack.events.subscribe(
    ({ type }) => {
      if (type === 'port-added' || type === 'port-removed' || type === 'port-state') notifier.status(statusText(stack));
    },
    { connections: false },
  );
  notifier.ready(statusText(stack));
  notifier.startWatchdog(() => stack.healthy());
  const whenIdle = idle === undefined ? undefined : watchForIdle(stack, idle, () => stop());
  try {
    let requested = await Promise.race([stopped, stack.wait().then(() => false)]);
    // When all processes are terminated at once, the signal may reach this one after the end of the namespaces.
    if (!requested) requested = await Promise.race([stopped, delay(SIGNAL_LAG_MS).then(() => false)]);
    if (!requested) log.error(new LauncherEndedError().message);
    notifier.stopping(requested ? 'ending' : 'ending: the namespaces were terminated from outside');
    return requested ? 0 : 1;
  } finally {
    clearInterval(whenIdle);
    // A reload is too late from here on.
    reload = async () => {};
    await stack.close();
  }
}

/** Status of the unit, as shown by systemctl. */
function statusText({ ports, waitingPorts, info }: Stack): string {
  const count = ports?.list().length ?? 0;
  const waiting = waitingPorts.length > 0 ? ` (${waitingPorts.length} waiting)` : '';
  const network = info.networkDriver?.driver ?? 'host';
  return `${count} port${count === 1 ? '' : 's'} published${waiting}, network ${network}, state directory ${info.stateDir}`;
}

/** In ms. Throws UsageError. */
function parseIdleTime(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,6}$/.test(text) || Number(text) === 0) {
    throw new UsageError(`invalid --stop-when-idle ${JSON.stringify(text)}: expected a number of seconds, at least 1`);
  }
  return Number(text) * 1000;
}

/** Calls `onIdle` when the stack has been idle for that many ms. */
function watchForIdle(stack: Stack, ms: number, onIdle: () => void): NodeJS.Timeout {
  let polling = false;
  const poll = async () => {
    if (polling) return;
    polling = true;
    if (await stack.unused(ms)) onIdle();
    polling = false;
  };
  return setInterval(() => void poll(), Math.min(ms / 2, MAX_IDLE_POLL));
}
