import assert from 'node:assert/strict';
import { type Published, type RunningStack, run, tcpRequest, waitFor } from '../../../support/index.js';
import { pythonProgram } from '../../../support/paths.js';
import { withStack } from '../../../support/stacks/with-stack.js';
import type { Started } from '../../../support/start.js';
import { type StackBelow, startBelow } from '../suite/below.js';

// What the tests of the port driver bypass share: servers in Python, and what is asked of the host about them.
export const args = ['--net=none', '--port-driver=bypass'];

/** Waits until a server inside has the port itself, or not. */
export async function isBypassed(stack: RunningStack, id: number, wanted = true): Promise<void> {
  await waitFor(async () => (await stack.report(id)).bypass === wanted, {
    what: `port ${id} to be ${wanted ? 'bypassed' : 'relayed'}`,
  });
}

/** Runs a program; fails with its output unless it succeeds. */
export async function succeed(command: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, words, { timeout: 30_000 });
  assert.equal(code, 0, `${command} ${words.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** The sockets of the host that listen on a port, with their processes, as ss(8) shows them. */
export async function listeners(port: number): Promise<string[]> {
  return (await succeed('ss', '-Hltnp', `sport = :${port}`)).trim().split('\n').filter(Boolean);
}

export const ask = async (host: string, port: number) => (await tcpRequest(host, port)).toString();
export const python = (script: string, ...words: (string | number)[]) => [
  'python3',
  '-u',
  '-c',
  script,
  ...words.map(String),
];

/** A Python server for published ports: what is common to those below. */
export const LISTEN = pythonProgram('processes/bypassed-listener');

/** A stack with the port driver for the tests of a describe block; after each test its ports are removed. */
export function withBypass(): {
  stack: StackBelow;
  server: (inside: number, script: string, spec?: string) => Promise<BypassedServer>;
} {
  const stack = withStack(() => startBelow({ args }));
  afterEach(async () => {
    for (const { id } of await stack.published()) await stack.api.removePort(id);
  });
  return {
    stack,
    /** Publishes a port, and starts a server below the command for it, which prints "ready". */
    async server(inside, script, spec = `127.0.0.2:0:${inside}`) {
      const published = await stack.publish(spec);
      const started = await stack.run(python(LISTEN + script, inside), /^ready$/m);
      return { ...published, started, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
    },
  };
}

interface BypassedServer extends Published, AsyncDisposable {
  started: Started;
}
