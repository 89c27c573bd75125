/**
 * The agent: a resident process in the child's namespaces, started by the launcher with one end of the socketpair as
 * descriptor 3. It creates the sockets that the parent requests (see protocol/wire/messages.ts); the engine does that for
 * each connection, and calls back once for each target.
 *
 * The parent does not trust it: any process with root in the child's namespaces can take it over.
 */
import { EventEmitter, once } from 'node:events';
import ipaddr from 'ipaddr.js';
import { type Engine, type EngineEvent, native } from '../native/index.js';
import { errorText } from '../protocol/errors/error-text.js';
import { defaultCongestion } from '../protocol/net/congestion.js';
import type { Listener } from '../protocol/ports/auto.js';
import type { ContainersConfig, ListenerRule } from '../protocol/wire/messages.js';
import { decodeMessage, type Message, PROTOCOL_VERSION } from '../protocol/wire/messages.js';
import { encodeParts } from '../protocol/wire/parts.js';
import { DialPlans } from './connect/dial-plans.js';
import type { ContainerRuntime } from './container/index.js';
import type { ListenerWatch } from './listeners/listener-watch.js';
import { RouteSocket } from './netlink/route.js';
import { ANSWER_MARKS } from './source-address/answer-marks.js';
import { SourceAddresses } from './source-address/source-addresses.js';

const PARENT_FD = 3;
const PARENT = 1;
/** How long requests for a container's ports wait until containers are served, in ms; the parent waits longer. */
const SERVED_TIMEOUT = 5000;

const engine: Engine = new (native().Engine)(defaultCongestion(), (events) => events.forEach(handle));

function send(message: Message): void {
  for (const packet of encodeParts(message)) engine.send(PARENT, packet);
}

let warnedUnknown = false;

/**
 * Whether the address belongs to this namespace. os.networkInterfaces() is not sufficient: it omits devices without a carrier,
 * and new devices appear to have none for up to a second.
 */
function isLocal(ip: string): boolean {
  // All of 127.0.0.0/8 is local, though lo has only one address.
  if (ipaddr.parse(ip).range() === 'loopback') return true;
  try {
    using routes = new RouteSocket();
    const wanted = ipaddr.parse(ip).toString();
    return routes.addresses().some(({ address }) => address.slice(0, address.indexOf('/')) === wanted);
  } catch (error) {
    // Netlink may be denied by a filter, or no descriptor may be free; servers on loopback are still reachable.
    if (!warnedUnknown)
      send({ type: 'log', level: 'warn', text: `cannot list the addresses inside: ${errorText(error)}` });
    warnedUnknown = true;
    return false;
  }
}

const warn = (text: string) => send({ type: 'log', level: 'warn', text });

let containers: ContainerRuntime | undefined;
/** Emits `known` as soon as containers are served, or cannot be. */
const serving = new EventEmitter().setMaxListeners(0);

const sources = new SourceAddresses(isLocal, async (ip, container) => containers?.returnPath(ip, container), warn);

const plans = new DialPlans({
  engine,
  sources,
  isLocal,
  async endpointOf(container) {
    // A replacement agent gets requests before it knows whether to serve containers.
    if (!containers) await once(serving, 'known', { signal: AbortSignal.timeout(SERVED_TIMEOUT) }).catch(() => {});
    return containers?.endpointOf(container);
  },
  warn,
});

function handle(event: EngineEvent): void {
  switch (event.type) {
    case 'plan-wanted':
      void plans.answerPlan(event.target);
      break;
    case 'client-wanted':
      void plans.answerClient(event.target, event.ip);
      break;
    case 'message': {
      const message = decodeMessage(event.data);
      if (message.type === 'ping') send({ type: 'pong' });
      if (message.type === 'forget') engine.forgetPlan(Buffer.from(message.target));
      if (message.type === 'watch-listeners') void watchListeners(message.rules);
      if (message.type === 'containers') void runContainers(message.config);
      if (message.type === 'containers-stop') void endContainers(message.timeout);
      if (message.type === 'containers-use') void countContainers();
      if (message.type === 'watch-queries') containers?.watchQueries(message.wanted);
      if (message.type === 'trace') void trace(message);
      if (message.type === 'reply') containers?.onReply(message);
      if (message.type === 'host-changed') containers?.onHostChanged(message.what);
      if (message.type === 'hello' && message.version !== PROTOCOL_VERSION) {
        send({
          type: 'log',
          level: 'warn',
          text: `the parent speaks version ${message.version} of the protocol, the agent ${PROTOCOL_VERSION}`,
        });
        stop(1);
      }
      break;
    }
    case 'dns-answer':
      containers?.onNameAnswer(event);
      break;
    case 'dns-query':
      containers?.onNameQuery(event);
      break;
    case 'addresses-changed':
      plans.changed();
      break;
    case 'channel-closed':
      stop(0);
      break;
    case 'log':
      send({ type: 'log', level: 'warn', text: event.text });
      break;
  }
}

let listenerWatch: ListenerWatch | undefined;

/** For ports that are published while something listens inside. */
async function watchListeners(rules: readonly ListenerRule[]): Promise<void> {
  const { ListenerWatch } = await import('./listeners/listener-watch.js');
  listenerWatch?.[Symbol.dispose]();
  const report = (listeners: Listener[]) => send({ type: 'listeners', container: '', listeners });
  listenerWatch = new ListenerWatch({ netns: '', container: false, rules, report, warn });
}

/** Whether the containers have been ready. */
let served = false;

/** Loads the container engine, which is larger than the rest of the agent, on demand only. */
async function runContainers(config: ContainersConfig): Promise<void> {
  try {
    if (containers) {
      if (served) await containers.renew();
      return send({ type: 'containers-ready' });
    }
    const { startContainers } = await import('./container/index.js');
    const { runtime, ready } = startContainers(config, {
      ...{ engine, send, warn },
      changed: () => plans.changed(),
    });
    containers = runtime;
    serving.emit('known');
    plans.changed();
    await ready;
    served = true;
    send({ type: 'containers-ready' });
  } catch (error) {
    // Running containers are kept, and so is their supervision.
    if (!served) containers = undefined;
    serving.emit('known');
    send({ type: 'containers-failed', text: errorText(error) });
  }
}

/** Loads what is needed on demand only. */
async function trace({ id, target, port }: Extract<Message, { type: 'trace' }>): Promise<void> {
  try {
    const { traceTarget } = await import('./connect/target-trace.js');
    const result = await traceTarget(target, port, {
      planOf: (wanted) => plans.planOf(wanted),
      netnsOf: async (container) => containers?.netnsOf(container),
    });
    send({ type: 'traced', id, result });
  } catch (error) {
    send({ type: 'log', level: 'warn', text: `cannot trace a port: ${errorText(error)}` });
    send({ type: 'traced', id, result: undefined });
  }
}

async function endContainers(timeout: number): Promise<void> {
  await containers
    ?.stop(timeout)
    .catch((error: unknown) => send({ type: 'log', level: 'warn', text: errorText(error) }));
  send({ type: 'containers-stopped' });
}

async function countContainers(): Promise<void> {
  try {
    send({ type: 'containers-used', count: (await containers?.inUse()) ?? 0 });
  } catch (error) {
    send({ type: 'log', level: 'warn', text: `cannot count the running containers: ${errorText(error)}` });
  }
}

function stop(code: number): void {
  engine.close();
  process.exit(code);
}

process.on('uncaughtException', (error) => {
  send({ type: 'log', level: 'warn', text: `the agent ends: ${error.message}` });
  stop(1);
});
// The terminal's signals go to the whole foreground process group, but are meant for the command.
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => {});

engine.serveConnects(PARENT);
engine.openChannel(PARENT, PARENT_FD);
// Without it, changed routes take effect when a port is published again.
engine.watchAddresses(false, '');
send({ type: 'hello', version: PROTOCOL_VERSION, pid: process.pid });
// Delayed, so that it does not slow down the start of the command.
setTimeout(() => {
  sources.prepare();
  engine.takeOverPaths(ANSWER_MARKS.local);
}, 200).unref();
