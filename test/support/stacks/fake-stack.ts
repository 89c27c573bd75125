import { join } from 'node:path';
import { EventBus } from '../../../parent/api/event-bus.js';
import type { Backend } from '../../../parent/api/forward.js';
import { type APIServer, startAPIServer } from '../../../parent/api/server.js';
import type { PortDriver } from '../../../parent/port/driver.js';
import type { Flow, Info } from '../../../protocol/api/types.js';
import { tempDir } from '../temp-dir.js';
import { FakePortDriver } from './fake-port-driver.js';

/** What `GET /v1/info` of a fake stack answers. */
export const FAKE_INFO: Info = {
  apiVersion: '1.1.1',
  version: '9.9.9',
  stateDir: '/run/user/1000/stack',
  childPID: 4242,
  networkDriver: { driver: 'slirp4netns', dns: ['10.0.2.3'], childIP: '10.0.2.100' },
  portDriver: { driver: 'builtin', protos: ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'] },
};

/** The API of a stack, on a socket of its own, with nothing behind it. */
export interface FakeStack extends AsyncDisposable {
  readonly socketPath: string;
  readonly ports: FakePortDriver;
  readonly events: EventBus;
  server: APIServer;
  /** What the server logged. */
  readonly log: string[];
  close(): Promise<void>;
}

/** With `ports: undefined` the stack has no port driver. */
export async function startFakeStack(
  options: {
    ports?: PortDriver | undefined;
    info?: () => Info;
    flows?: (most: number) => Promise<Flow[]>;
    containers?: Backend;
  } = {},
): Promise<FakeStack> {
  const ports = new FakePortDriver();
  const events = new EventBus();
  const log: string[] = [];
  const socketPath = join(tempDir(), 'api.sock');
  const server = await startAPIServer({
    socketPath,
    info: options.info ?? (() => FAKE_INFO),
    ports: 'ports' in options ? options.ports : ports,
    ...(options.flows && { flows: options.flows }),
    containers: options.containers,
    events,
    log: (line) => log.push(line),
  });
  return {
    socketPath,
    ports,
    events,
    log,
    server,
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}
