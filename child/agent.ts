/**
 * The agent: a resident process in the child's namespaces, started by the launcher with one end of the socketpair as
 * descriptor 3. It makes the sockets that the parent asks for (see protocol/messages.ts); the engine does that for each
 * connection, and asks here once for each target.
 *
 * It is not trusted by the parent: whoever is root in the child's namespaces can take it over.
 */
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { type Engine, type EngineEvent, native } from '../native/index.js';
import { defaultCongestion } from '../protocol/congestion.js';
import { dialPlan } from '../protocol/dial-rule.js';
import { errorText } from '../protocol/error-text.js';
import type { ContainersConfig } from '../protocol/messages.js';
import { decodeMessage, decodeTarget, encodeMessage, type Message, PROTOCOL_VERSION } from '../protocol/messages.js';
import type { ContainerRuntime } from './container/index.js';
import { SourceAddresses } from './source-addresses.js';

const PARENT_FD = 3;
const PARENT = 1;

const engine: Engine = new (native().Engine)(defaultCongestion(), (events) => events.forEach(handle));

function say(message: Message): void {
  engine.send(PARENT, encodeMessage(message));
}

let saidUnknown = false;

function isLocal(ip: string): boolean {
  // All of 127.0.0.0/8 is, though lo has but the one address.
  if (ipaddr.parse(ip).range() === 'loopback') return true;
  try {
    return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === ip));
  } catch (error) {
    // As where a filter keeps netlink from us, or no descriptor is free: what is on loopback is reached all the same.
    if (!saidUnknown)
      say({ type: 'log', level: 'warn', text: `cannot list the addresses inside: ${errorText(error)}` });
    saidUnknown = true;
    return false;
  }
}

const sources = new SourceAddresses(
  isLocal,
  async (ip) => containers?.wayBack(ip),
  () => engine.forgetClients(),
  (text) => say({ type: 'log', level: 'warn', text }),
);

async function askForClient(target: Buffer, ip: string): Promise<void> {
  const decoded = decodeTarget(target);
  const keep = await sources.keep(target.toString('latin1'), decoded, dialPlan(decoded, isLocal), ip);
  engine.setClient(target, ip, keep);
}

function forget(target: Buffer): void {
  engine.forgetPlan(target);
  sources.forget(target.toString('latin1'));
}

function plan(target: Buffer): void {
  const decoded = decodeTarget(target);
  const addresses = dialPlan(decoded, isLocal);
  if (decoded.proto === 'udp') {
    for (const { ip } of addresses) {
      if (ip.startsWith('127.') && ip !== '127.0.0.1') addLoopbackAddress(ip);
    }
  }
  engine.setPlan(target, addresses, decoded.source === 'keep');
}

/** So that servers that are bound to every address answer from the one that was asked; see native/src/local_address.h. */
function addLoopbackAddress(ip: string): void {
  try {
    native().addLoopbackAddress(ip);
  } catch (error) {
    say({ type: 'log', level: 'warn', text: `cannot give lo the address ${ip}: ${String(error)}` });
  }
}

function handle(event: EngineEvent): void {
  switch (event.type) {
    case 'plan-wanted':
      plan(event.target);
      break;
    case 'client-wanted':
      void askForClient(event.target, event.ip);
      break;
    case 'message': {
      const message = decodeMessage(event.data);
      if (message.type === 'forget') forget(Buffer.from(message.target));
      if (message.type === 'containers') void runContainers(message.config);
      if (message.type === 'containers-stop') void endContainers();
      if (message.type === 'reply') containers?.onReply(message);
      if (message.type === 'hello' && message.version !== PROTOCOL_VERSION) {
        say({
          type: 'log',
          level: 'warn',
          text: `the parent speaks version ${message.version} of the protocol, the agent ${PROTOCOL_VERSION}`,
        });
        stop(1);
      }
      break;
    }
    case 'channel-closed':
      stop(0);
      break;
    case 'log':
      say({ type: 'log', level: 'warn', text: event.text });
      break;
  }
}

let containers: ContainerRuntime | undefined;

/** Loaded only where they are wanted: what runs containers is larger than the rest of the agent. */
async function runContainers(config: ContainersConfig): Promise<void> {
  if (containers) return say({ type: 'containers-ready' });
  try {
    const { startContainers } = await import('./container/index.js');
    const { runtime, ready } = startContainers(config, say, (text) => say({ type: 'log', level: 'warn', text }));
    containers = runtime;
    await ready;
    say({ type: 'containers-ready' });
  } catch (error) {
    containers = undefined;
    say({ type: 'containers-failed', text: error instanceof Error ? error.message : String(error) });
  }
}

async function endContainers(): Promise<void> {
  await containers?.stop();
  say({ type: 'containers-stopped' });
}

function stop(code: number): void {
  engine.close();
  process.exit(code);
}

process.on('uncaughtException', (error) => {
  say({ type: 'log', level: 'warn', text: `the agent ends: ${error.message}` });
  stop(1);
});
// The terminal's signals go to the whole foreground group; they are meant for the command.
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => {});

engine.openChannel(PARENT, PARENT_FD);
engine.serveConnects(PARENT);
say({ type: 'hello', version: PROTOCOL_VERSION, pid: process.pid });
// Later, since the command starts now, too.
setTimeout(() => sources.prepare(), 200).unref();
