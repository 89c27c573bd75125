/**
 * The typed face of the native part (src/): the engine, and the few system calls that Node lacks.
 * Both sides load the same binary; the parent forwards ports with it, the agent makes sockets with it.
 */
import { createRequire } from 'node:module';
import { packageFile } from '../protocol/paths.js';

/** Where node-gyp puts what it builds. */
const RELEASE = 'native/build/Release';

/** Path of the program that makes the namespaces, see src/launcher.c. */
export const LAUNCHER = packageFile(`${RELEASE}/launcher`);

/** Path of the program that watches over one container, see src/container_monitor.c. */
export const CONTAINER_MONITOR = packageFile(`${RELEASE}/container_monitor`);

/** Path of the program that OCI runtimes run as a hook, see src/oci_hook.c. */
export const OCI_HOOK = packageFile(`${RELEASE}/oci_hook`);

export type EngineEvent =
  | { type: 'message'; channel: number; data: Buffer; fds: number[] }
  | { type: 'channel-closed'; channel: number; reason: string }
  | { type: 'plan-wanted'; target: Buffer }
  | { type: 'client-wanted'; target: Buffer; ip: string }
  | { type: 'port-closed'; port: number }
  | { type: 'bypass-ended'; port: number }
  | { type: 'port-state'; port: number; reason: string }
  | { type: 'log'; text: string }
  | {
      type: 'connection-opened' | 'connection-refused' | 'connection-closed';
      port: number;
      /** Counts from 1, over all ports. */
      connection: number;
      /** `address:port`. */
      client: string;
      reason: string;
      bytesIn: number;
      bytesOut: number;
    };

export interface EngineCounters {
  open: number;
  opened: number;
  refused: number;
  bytesIn: number;
  bytesOut: number;
  /** Connections of clients that are not on loopback: whose address the server saw, and whose it did not. */
  sourceKept: number;
  sourceHidden: number;
}

/** One thread with an epoll loop; see src/engine.h. Descriptors that are passed in belong to it from then on. */
export interface Engine {
  /** Packets of a SOCK_SEQPACKET socket come as `message` events with this channel number. */
  openChannel(channel: number, fd: number): void;
  closeChannel(channel: number): void;
  /** Descriptors ride on the packet and are closed here afterwards. */
  send(channel: number, data: Uint8Array, fds?: number[]): void;
  /** Parent: which channel leads to the agent; 0 while there is none, and then connections wait. */
  setAgent(channel: number): void;
  /** Parent: ends all connections that wait for the agent, with a reset. */
  failWaiting(reason: string): void;
  /** Parent: forwards what arrives at listeners. `target` is what encodeTarget() in protocol/messages.ts makes. */
  addPort(
    id: number,
    type: 'tcp' | 'udp',
    listeners: number[],
    childPort: number,
    target: Uint8Array,
    proxyProtocol: 0 | 1 | 2,
  ): void;
  /** Parent: `port-closed` follows when the listeners and connections are closed. */
  removePort(id: number): void;
  counters(id: number): EngineCounters | undefined;
  watchConnections(wanted: boolean): void;
  /**
   * Parent: lets programs below process `root` have sockets of the host for published ports; see src/bypass.h. `fd` is the
   * socket that the command's process says hello on.
   */
  startBypass(fd: number, root: number, hostLoopback: boolean, outbound: boolean): void;
  /** Parent: that a port may be bypassed, and where it leads in the child. */
  bypassPort(id: number, type: 'tcp' | 'udp', addresses: { ip: string; port: number }[]): void;
  /** Parent: ends what programs have of a port; `bypass-ended` follows. Before removePort(). */
  endBypass(id: number): void;
  /**
   * Parent: the listener of a port, which is not relayed any more, for the command to start with; -1 where there is none.
   */
  activatePort(id: number): number;
  /** Parent: whether a program has the port now; else why not, where there is more to say than that none asked. */
  bypassState(id: number): { bypassed: boolean; reason: string };
  /** Child: which channel leads to the parent. */
  serveConnects(channel: number): void;
  /**
   * Child: where requests for `target` go, in this order. With `keepSource` servers see the addresses of clients that are
   * not on loopback, as far as setClient() says so: each new one is asked for with `client-wanted`.
   */
  setPlan(target: Uint8Array, addresses: { ip: string; port: number }[], keepSource: boolean): void;
  setClient(target: Uint8Array, ip: string, keep: boolean): void;
  forgetPlans(): void;
  forgetPlan(target: Uint8Array): void;
  /** Child: asks for each client again. */
  forgetClients(): void;
  close(): void;
}

interface Binding {
  Engine: new (congestion: string, onEvents: (events: EngineEvent[]) => void) => Engine;
  socketpair(): [number, number];
  listen(ip: string, port: number, type: 'tcp' | 'udp', dual: boolean): { fd: number; port: number };
  closeFd(fd: number): void;
  /** To a UNIX socket; a path that begins with `@` is an abstract name. */
  sendDatagram(path: string, text: string): void;
  /**
   * What an inherited TCP listener or bound UDP socket is; programs that are started do not inherit it any more. Throws
   * an error with the code ENOTSUP where it is neither.
   */
  takeSocket(fd: number): { type: 'tcp' | 'udp'; ip: string; port: number; dual: boolean };
  flock(fd: number, exclusive: boolean): boolean;
  /** Of the terminal at that path, for the programs in it; see TIOCSWINSZ in ioctl_tty(2). */
  setTerminalSize(path: string, columns: number, rows: number): void;
  becomeSubreaper(): void;
  dieWithParent(signal: number): void;
  /** Calls the listener for each signal of that number, from now on; see src/signals.h. */
  onSignal(number: number, listener: (number: number) => void): void;
  addLoopbackAddress(ip: string): void;
  /** A netlink socket of the network namespace at that path, of this process's where it is "". */
  openNetlink(protocol: number, netns: string): number;
  /** Sends messages, and returns the answers up to that many acknowledgements or ends of dumps; see src/netlink.h. */
  netlinkExchange(fd: number, messages: Uint8Array, acknowledgements: number): Buffer;
}

/** The native part is not there, or cannot be loaded. */
export class NativeMissingError extends Error {
  override name = 'NativeMissingError';
}

function load(): Binding {
  const path = packageFile(`${RELEASE}/rootless_net.node`);
  try {
    return createRequire(import.meta.url)(path) as Binding;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new NativeMissingError(
      `the native part is not built (${path}: ${why}); build it with: npm run build (needs a C++ compiler, make and python3)`,
    );
  }
}

let binding: Binding | undefined;

/** Loaded at the first use, so that `--help` and rootlessctl work without. Throws NativeMissingError. */
export function native(): Binding {
  binding ??= load();
  return binding;
}
