import { join } from 'node:path';
import {
  isAlive,
  type Published,
  programPath,
  type RunningStack,
  type StackOptions,
  type Started,
  start,
  startStack,
  tempDir,
  waitFor,
} from '../../../support/index.js';

/** A stack whose programs run below its command, where the port driver `bypass` sees what they do. */
export interface StackBelow extends RunningStack {
  /** Starts a program below the command; its pid is the program's. */
  run(command: readonly string[], ready: RegExp): Promise<Started>;
}

export async function startBelow(options: Omit<StackOptions, 'command'>): Promise<StackBelow> {
  const socket = join(tempDir(), 'starter');
  const starter = [process.execPath, programPath('starter')];
  const stack = await startStack({ ...options, command: [...starter, 'serve', socket] });
  await waitFor(() => /^ready$/m.test(stack.started.output()), { what: 'the starter to be ready' });
  const run: StackBelow['run'] = async (command, ready) => {
    const [program = '', ...args] = [...starter, 'run', socket, ...command];
    const started = await start(program, args, { ready: { output: ready } });
    return { ...started, pid: Number(/^pid (\d+)$/m.exec(started.output())?.[1]) };
  };
  return {
    ...stack,
    run,
    program: (name, ...words) => run([process.execPath, programPath(name), ...words.map(String)], /^ready$/m),
  };
}

/**
 * As startBelow(), with servers that have whatever is published for them: those that run already when a port is published
 * are started anew.
 */
export async function startBypassed(options: Omit<StackOptions, 'command'>): Promise<RunningStack> {
  const stack = await startBelow(options);
  const servers: { port: number; proto: string; current: Started; again: () => Promise<void> }[] = [];

  async function offer(published: Published): Promise<void> {
    const { spec } = await stack.report(published.id);
    for (const server of servers) {
      if (server.port !== spec.childPort || server.proto !== spec.proto.slice(0, 3)) continue;
      if (isAlive(server.current.pid) && (await hasPort(spec.childPort))) continue;
      await server.again();
    }
  }
  const hasPort = async (childPort: number) =>
    (await stack.api.listPorts()).some(({ spec, bypass }) => spec.childPort === childPort && bypass);

  return {
    ...stack,
    inside(command, ready) {
      if (!('output' in ready)) throw new Error('below the command nothing but output can be waited for');
      return stack.run(command, ready.output);
    },
    async program(name, ...words) {
      const server = {
        port: Number(words[2]),
        proto: name.slice(0, 3),
        current: await stack.program(name, ...words),
        again: async () => {
          await server.current[Symbol.asyncDispose]();
          server.current = await stack.program(name, ...words);
        },
      };
      servers.push(server);
      return {
        get pid() {
          return server.current.pid;
        },
        get child() {
          return server.current.child;
        },
        get ended() {
          return server.current.ended;
        },
        output: () => server.current.output(),
        stop: (signal) => server.current.stop(signal),
        async [Symbol.asyncDispose]() {
          servers.splice(servers.indexOf(server), 1);
          await server.current[Symbol.asyncDispose]();
        },
      };
    },
    async publish(spec) {
      const published = await stack.publish(spec);
      await offer(published);
      return published;
    },
  };
}
