/**
 * Starts a stack: namespaces, network, ports, API, and the command in them.
 *
 * Theory of operation. prepare() is a list of steps, each with its undo; when one fails, those before it are undone in
 * reverse order, as they are when the stack ends. The command is started last: by then child_pid and api.sock are there
 * and all ports listen.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Info } from '../../protocol/api/types.js';
import { defaultCongestion } from '../../protocol/net/congestion.js';
import { encodeStackRecord } from '../../protocol/state/stack-record.js';
import { dataLockPath } from '../../protocol/state/state-layout.js';
import type { ContainersConfig } from '../../protocol/wire/messages.js';
import { AgentSupervisor } from '../agent/agent.js';
import { EventBus } from '../api/event-bus.js';
import { APIServer } from '../api/server.js';
import { ContainerService } from '../containers/service.js';
import { startNames } from '../dns/start-names.js';
import { startEgress } from '../egress/start-egress.js';
import { EngineHost } from '../engine/engine-host.js';
import { availableCPUs, usualPortThreads } from '../engine/threads.js';
import { ContainersError, errorText, NamespaceError, NetworkError } from '../errors.js';
import { startRouter } from '../http/start-router.js';
import { divideCgroup, evacuateCgroup } from '../namespaces/cgroup.js';
import { type Launcher, LauncherEndedError } from '../namespaces/launcher.js';
import { NamespacePrograms } from '../namespaces/programs.js';
import { clearOfHost } from '../network/host/clear-of-host.js';
import { prepareNetwork } from '../network/index.js';
import { Observation, type ObservationDeps } from '../observation/observation.js';
import { startOverlays } from '../overlay/start-overlays.js';
import { announceStack } from '../stack-discovery/announce.js';
import { endRemnantOf } from '../stack-discovery/remnant.js';
import { StateDir } from '../state/state-dir.js';
import { watchHost } from './host-watch.js';
import { stackInfo } from './info.js';
import { writeNameFiles } from './name-files.js';
import { makeChildNamespaces, setUpNamespaces, startLauncher } from './namespaces.js';
import { startNetwork } from './network.js';
import type { StackLog, StackOptions, StartContext } from './options.js';
import { StackPorts } from './ports.js';
import { Stack, type StackDeps } from './stack.js';
import { StateRenewal } from './state-renewal.js';
import { UndoStack } from './undo.js';

/**
 * How long a signal to the process group may take to its handler here, in ms, after it has ended other processes of the
 * group.
 */
export const SIGNAL_LAG_MS = 20;

/** After the start of the command, in ms: loading what serves clients is not to delay the end of one like `true`. */
const SERVE_DELAY_MS = 10;

/** How often it is checked whether the state directory is in place, in ms. */
const RENEWAL_INTERVAL_MS = 5_000;

/** What the start has come to so far. */
interface Progress {
  launcher?: Launcher;
}

/**
 * Starts everything, the command included. Throws UserError (errors.ts), PortError (port/errors.ts) or
 * NativeMissingError, and then nothing is left; likewise, with its reason, when `abort` fires before the command is
 * started.
 *
 * This process becomes the one that inherits orphans from below it, see namespaces/orphans.ts.
 */
export async function startStack(options: StackOptions, log: StackLog, abort?: AbortSignal): Promise<Stack> {
  const undo = new UndoStack((what, error) => log.warn(`cannot ${what}: ${errorText(error)}`));
  const context = { options, log, undo };
  const progress: Progress = {};
  const preparing = prepare(context, progress);
  try {
    const parts = await (abort ? Promise.race([preparing, aborted(abort)]) : preparing);
    // From here on the command may run, and be visible: signals end it, not `abort`.
    await startCommand(context, parts);
    return new Stack(parts);
  } catch (error) {
    const byProcess = error instanceof NamespaceError || error instanceof NetworkError;
    if (abort && byProcess) await Promise.race([aborted(abort).catch(() => {}), delay(SIGNAL_LAG_MS)]);
    const reason = abort?.aborted ? abort.reason : progress.launcher?.ended ? new LauncherEndedError() : error;
    // A step under way fails when what it needs is undone, or pushes its own undo.
    preparing.catch(() => {}).then(() => undo.unwind());
    await undo.unwind();
    throw reason;
  }
}

/** Everything but the command. */
async function prepare(context: StartContext, progress: Progress): Promise<StackDeps> {
  const { options, log, undo } = context;
  const engineHost = startEngine(context);
  // Before there are other processes that would have to be moved.
  const divided = options.containers && options.evacuateCgroup2 === undefined ? divideCgroup() : undefined;
  const { stateDir, record } = await claimStateDir(context);

  // This takes longest: whatever does not need the namespaces is done meanwhile.
  const launching = startLauncher(context, { engineHost, stateDir });
  launching.catch(() => {});
  prepareNetwork(options.net, options.network);
  const networkOptions = clearOfHost(options.net, options.network, log);
  const launcher = await launching;
  progress.launcher = launcher;
  undo.push('end the command', () => launcher.kill());
  log.debug(`namespaces are up, child pid ${launcher.pid}`);
  const cgroup = options.evacuateCgroup2 === undefined ? divided : await moveToCgroup(options.evacuateCgroup2, log);
  const child = await makeChildNamespaces(context, { engineHost, launcher, stateDir });

  // The network is set up from outside while the launcher sets up the inside; but not where the network driver needs a
  // path there, which copying up would move. The network takes longest, so its requests to the launcher are the first.
  const startingNetwork = startNetwork(context, child, networkOptions);
  startingNetwork.catch(() => {});
  await new Promise(setImmediate);
  const settingUp = child.netns === undefined ? setUpNamespaces(launcher, options, log) : undefined;
  settingUp?.catch(() => {});
  const network = await startingNetwork;
  record.net = network.info?.driver ?? options.net;
  stateDir.record(encodeStackRecord(record));
  await (settingUp ?? setUpNamespaces(launcher, options, log));
  const resolvConf = await writeNameFiles(context, { launcher, network, stateDir });

  const events = new EventBus();
  const egress = startEgress(options, (line) => log.warn(line), { engineHost, events, network, undo });
  const agent = startSupervisor(context, engineHost, launcher);
  const ports = new StackPorts(context, {
    ...{ agent, engineHost, events, launcher, network, stateDir },
    limits: egress?.limits,
    netns: child.netns,
  });
  const containers =
    options.containers &&
    new ContainerService({
      agent,
      ports,
      network: () => network.info,
      hostReach: options.network,
      policies: egress,
      emit: (event) => events.emit(event),
      config: containersConfig(options, options.containers, { stateDir, cgroup, record }),
      warn: (line) => log.warn(line),
    });
  const overlays = containers && startOverlays(context, { containers, ports, egress: egress?.stack });
  await ports.publish();

  stateDir.write('childPid', String(launcher.pid), 0o444);
  const hostNames = await startNames(context, { containers, engineHost, events, network, ports, record, stateDir });
  const info = () => stackInfo({ options, stateDir, launcher, network, ports: ports.driver, hostNames });
  const programs = new NamespacePrograms(launcher);
  const { netns } = child;
  const served = {
    agent,
    containers,
    egress,
    engineHost,
    events,
    info,
    launcher,
    netns,
    network,
    overlays,
    ports,
    programs,
  };
  const api = await serveAPI(context, stateDir, served);
  const renewal = keepState(context, { api, containers, stateDir });
  return { api, containers, engineHost, events, info, launcher, network, ports, programs, renewal, resolvConf, undo };
}

interface ServedParts extends ObservationDeps {
  events: EventBus;
  info: () => Info;
  ports: StackPorts;
  programs: NamespacePrograms;
}

/** Clients can connect from then on. Throws APISocketError, and UserError if an address for HTTP cannot be used. */
async function serveAPI(context: StartContext, stateDir: StateDir, parts: ServedParts): Promise<APIServer> {
  const { options, log, undo } = context;
  const { containers, egress, events, info, overlays, ports, programs } = parts;
  const observation = new Observation(parts);
  const metrics = () => observation.metrics();
  const warn = (line: string) => log.warn(line);
  const api = new APIServer({
    socketPath: stateDir.socket,
    info,
    flows: (most, withPrograms) => observation.flows(most, withPrograms),
    trace: (address) => observation.trace(address),
    metrics,
    ports: ports.driver,
    persistentPorts: ports.persistent,
    waiting: ports.waiting,
    containers,
    overlays,
    egress: egress?.stack,
    limits: egress?.limits,
    events,
    programs: (program) => programs.start(program),
    log: warn,
  });
  await api.listenAgain();
  undo.push('close the API', () => api.close());
  await startRouter(context, stateDir.path);
  // Before the API is closed, so that clients that wait for a container see how it ended.
  if (containers) undo.push('end the containers', () => containers.close());
  if (options.metrics) {
    const { serveMetrics } = await import('../observation/web/metrics-server.js');
    undo.push('end the metrics', await serveMetrics({ address: options.metrics, metrics, log: warn }));
  }
  if (options.ui) {
    const { startUI } = await import('../observation/web/start-ui.js');
    const { url, close } = await startUI(parts, { address: options.ui, observation, log: warn });
    undo.push('end the page', close);
    log.info(`the page of the stack: ${url}`);
  }
  return api;
}

function containersConfig(
  { dnsPublish }: StackOptions,
  directories: NonNullable<StackOptions['containers']>,
  { stateDir, cgroup, record }: { stateDir: StateDir } & Pick<ContainersConfig, 'cgroup' | 'record'>,
): ContainersConfig {
  const publishNames = dnsPublish !== undefined;
  return { ...directories, stack: crypto.randomUUID(), stateDir: stateDir.path, cgroup, record, publishNames };
}

/** Restores what is removed of the state directory, until clients are no longer accepted. */
function keepState(
  { log, undo }: StartContext,
  { api, containers, stateDir }: Omit<ConstructorParameters<typeof StateRenewal>[0], 'log'>,
): StateRenewal {
  const renewal = new StateRenewal({ api, containers, log, stateDir });
  const timer = setInterval(() => void renewal.check(), RENEWAL_INTERVAL_MS).unref();
  undo.push('accept no more clients', () => {
    clearInterval(timer);
    renewal.close();
    api.stopListening();
  });
  return renewal;
}

function startEngine({ options, log, undo }: StartContext): EngineHost {
  const engineHost = new EngineHost(defaultCongestion(), (line) => log.warn(line), {
    bypass: options.portDriver === 'bypass',
    threads: options.portThreads ?? usualPortThreads(availableCPUs()),
  });
  undo.push('stop the engine', () => engineHost.close());
  return engineHost;
}

/** Throws StateDirError if another stack has the state directory, UserError where one has the name. */
async function claimStateDir({ options, log, undo }: StartContext) {
  const stateDir = StateDir.open(StateDir.choose(options.stateDir, options.rootlesskit && 'rootlesskit'));
  undo.push('remove the state directory', () => stateDir.remove());
  const { command, name, net } = options;
  const program = options.rootlesskit ? 'rootlesskit' : 'rootless-run';
  const record = await announceStack(stateDir, { command, name, net, program });
  if (options.containers) await endRemnantOf(dataLockPath(options.containers.dataDir), (line) => log.warn(line));
  return { stateDir, record };
}

/** Moves all processes of this cgroup to one of that name below it. */
async function moveToCgroup(name: string, log: StackLog) {
  const { problems, evacuated } = await evacuateCgroup(name);
  for (const problem of problems) log.warn(problem);
  return evacuated;
}

function startSupervisor({ log, undo }: StartContext, engineHost: EngineHost, launcher: Launcher): AgentSupervisor {
  const agent = new AgentSupervisor(
    engineHost,
    launcher,
    (line) => log.warn(line),
    (line) => log.debug(line),
  );
  undo.push('end the agent', async () => agent.close());
  return agent;
}

/** Starts the command, or none, and then what it is not to wait for. */
async function startCommand(context: StartContext, parts: StackDeps): Promise<void> {
  const { options, log } = context;
  const { containers, launcher, ports } = parts;
  if (options.command) {
    const { filterSocket, activated = [] } = ports.driver?.commandSetup?.() ?? {};
    if (filterSocket !== undefined) await launcher.filterCommand(filterSocket);
    for (const { fd, name } of activated) await launcher.activate(fd, name);
    await launcher.run(options.command);
    setTimeout(() => parts.api.serve(), SERVE_DELAY_MS);
  } else {
    await launcher.idle();
    parts.api.serve();
  }
  watchHost(context, parts);
  // Restores what an earlier stack has left.
  containers?.ready().catch((error: unknown) => {
    if (!(error instanceof ContainersError && error.logged)) log.warn(`containers cannot be run: ${errorText(error)}`);
  });
}

/** Rejects when the signal fires. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    signal.addEventListener('abort', fail, { once: true });
  });
}
