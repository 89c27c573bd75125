import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type EngineOptions, native } from '../../../native/index.js';
import { encodeTarget } from '../../../protocol/wire/messages.js';
import { pythonProgram } from '../paths.js';
import { waitFor } from '../wait-for.js';
import { EngineSide } from './engine-side.js';

/** An agent in a network namespace of its own, see test/programs/python/processes/pool-agent.py. */
export class PoolAgent {
  readonly #lines: AsyncIterator<string>;

  constructor(readonly child: ChildProcessWithoutNullStreams) {
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  /** The value of a Python expression there. */
  async run(expression: string): Promise<unknown> {
    this.child.stdin.write(`${expression}\n`);
    const { value } = await this.#lines.next();
    const result: unknown = JSON.parse(String(value));
    assert(!(typeof result === 'string' && result.startsWith('Traceback')), String(result));
    return result;
  }

  async number(expression: string): Promise<number> {
    const value = await this.run(expression);
    assert.equal(typeof value, 'number', `${expression}: ${JSON.stringify(value)}`);
    return Number(value);
  }

  async put(name: string, expression: string): Promise<void> {
    await this.run(`put('${name}', ${expression})`);
  }

  /** How many connections were requested from it. */
  connects(): Promise<number> {
    return this.number('state.connects');
  }

  async kill(): Promise<void> {
    this.child.stdin.destroy();
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

const TARGET = {
  proto: 'tcp',
  ip: '',
  parentIP: '127.0.0.1',
  hostGatewayIP: '',
  source: 'hide',
  container: '',
} as const;

/** The parent's engine, and an agent that makes sockets for its pool. Ends with the block. */
export class PoolPair implements AsyncDisposable {
  readonly parent: EngineSide;
  readonly #agents: PoolAgent[] = [];
  #ports = 0;

  private constructor(options: EngineOptions) {
    this.parent = new EngineSide(options);
  }

  /** @param options of the parent's engine, which is made before this returns */
  static async make(options: EngineOptions = {}): Promise<{ pair: PoolPair; agent: PoolAgent } & AsyncDisposable> {
    const pair = new PoolPair(options);
    const agent = await pair.newAgent();
    return { pair, agent, [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose]() };
  }

  /** Another agent, which the parent uses from now on. */
  async newAgent(): Promise<PoolAgent> {
    const [ours, theirs] = native().socketpair();
    const child = spawn('python3', ['-c', pythonProgram('processes/pool-agent')], {
      // The last one ends what outlives the agent.
      stdio: ['pipe', 'pipe', 'inherit', theirs, 'pipe'],
    });
    native().closeFd(theirs);
    assert(child.stdin && child.stdout);
    const agent = new PoolAgent(child as unknown as ChildProcessWithoutNullStreams);
    this.#agents.push(agent);
    // It is ready for requests.
    await agent.run('1');
    this.parent.engine.openChannel(this.#agents.length, ours);
    this.parent.engine.setAgent(this.#agents.length);
    return agent;
  }

  /** A port that leads to `childPort`. */
  publish(childPort: number): { id: number; port: number; target: Buffer } {
    const id = ++this.#ports;
    const { fd, port } = native().listen('127.0.0.1', 0, 'tcp', false);
    const target = encodeTarget(TARGET);
    this.parent.engine.addPorts(id, 'tcp', [fd], childPort, target, 0);
    return { id, port, target };
  }

  /** Connects again and again, until the agent is not asked any more: the pool has sockets. */
  async fill(agent: PoolAgent, port: number): Promise<void> {
    const withoutAgent = async () => {
      const before = await agent.connects();
      await greeting(port);
      return (await agent.connects()) === before;
    };
    await waitFor(withoutAgent, { what: 'a connection without the agent' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) {
      await agent.kill();
      for (const end of agent.child.stdio) end?.destroy();
    }
    this.parent[Symbol.dispose]();
  }
}

/** What the server says that a port leads to: its name, and the client's address. "" if the connection is reset. */
export function greeting(port: number, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    let text = '';
    socket.on('data', (data) => {
      text += data.toString();
      if (text.includes('\n')) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text.trim()));
  });
}

/** An open connection, once its server has greeted it. Rejects where it has not. */
export function greeted(port: number, host = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    socket.once('data', () => {
      socket.removeAllListeners('close');
      resolve(socket);
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}
