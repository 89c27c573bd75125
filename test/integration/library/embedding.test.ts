import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { isAlive, run, start, waitFor } from '../../support/index.js';
import { projectDirectory } from './project-directory.js';

/** Starts a namespace, publishes a port, runs a program, and prints what came of it. */
const PROGRAM = `
  const { createNamespace } = await import('rootless-net');
  const ns = await createNamespace({ net: 'none' });
  const port = await ns.publish({ targetPort: 80 });
  const server = ns.run('python3', ['-m', 'http.server', '80'], { cwd: '/' });
  server.catch(() => {});
  await port.ready();
  const { status } = await fetch(port.url);
  const { stdout } = await ns.run('id', ['-u']);
  await ns.close();
  console.log(status, stdout, 'done');
`;

/** Runs Node in that directory with nothing but these variables and the usual path. */
function node(directory: string, args: readonly string[], env: Record<string, string> = {}) {
  return run(process.execPath, args, { cwd: directory, env });
}

describe('a program that embeds the library', () => {
  let directory: string;
  before(() => {
    directory = projectDirectory();
  });

  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return name;
  };

  it('may be CommonJS, with options of Node in its environment', async () => {
    const preload = write('preload.cjs', 'console.log("preloaded", process.argv[1])');
    const name = write('plain.cjs', `(async () => {${PROGRAM}})();`);
    const result = await node(directory, [name], { NODE_OPTIONS: `--require=./${preload}` });
    // Not in the agent.
    assert.equal(result.stdout, `preloaded ${join(directory, name)}\n200 0 done\n`, result.stderr);
    assert.equal(result.stderr, '');
  });

  for (const [format, outfile] of [
    ['esm', 'out/deep/er/bundle.mjs'],
    ['cjs', 'out/bundle.cjs'],
  ] as const) {
    it(`may be bundled with it, as ${format}`, async () => {
      const text = format === 'cjs' ? `(async () => {${PROGRAM}})();` : PROGRAM;
      await build({
        stdin: { contents: text, resolveDir: directory },
        bundle: true,
        format,
        platform: 'node',
        target: 'node20',
        outfile: join(directory, outfile),
        logLevel: 'silent',
        // Some dependencies are CommonJS, which require() Node's modules.
        ...(format === 'esm' && {
          banner: {
            js: 'import * as m from "node:module"; const require = m.createRequire(import.meta.url);',
          },
        }),
      });
      const result = await node(directory, [outfile]);
      assert.equal(result.stdout, '200 0 done\n', result.stderr);
    });
  }

  it('may use it in a worker', async () => {
    const text = `
      const { Worker, isMainThread } = require('node:worker_threads');
      if (isMainThread) new Worker(__filename).on('exit', (code) => console.log('worker', code));
      else (async () => {${PROGRAM}})();
    `;
    const result = await node(directory, [write('worker.cjs', text)]);
    assert.equal(result.stdout, '200 0 done\nworker 0\n', result.stderr);
  });

  it('gets the failure of a program in the loop over its lines, however slow that is', async () => {
    const text = `
      import { createNamespace } from 'rootless-net';
      import { setTimeout as delay } from 'node:timers/promises';
      const ns = await createNamespace({ net: 'none' });
      const program = ns.run('sh', ['-c', 'echo one; echo two; exit 3']);
      try {
        for await (const line of program) {
          console.log(line);
          // Until it has failed, and its rejection would be nobody's.
          while (!program.stdout.closed) await delay(10);
          await delay(50);
        }
      } catch ({ code }) {
        console.log(code);
      }
      await ns.close();
    `;
    const result = await node(directory, [write('loop.mjs', text)]);
    assert.equal(result.stdout, 'one\ntwo\nprogram-failed\n', result.stderr);
    assert.equal(result.stderr, '');
  });

  it('leaves nothing when it is killed, and no files when it exits', async () => {
    const text = `
      import { existsSync } from 'node:fs';
      import { createNamespace } from 'rootless-net';
      const [, , how, stateDir] = process.argv;
      const ns = await createNamespace({ net: 'none', ...(stateDir && { stateDir }) });
      const { stdout } = await ns.run('sh', ['-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!']);
      console.log(how === 'exit' ? (await ns.info()).stateDir : stdout + ' is running');
      if (how === 'exit') process.exit();
    `;
    const name = join(directory, write('owner.mjs', text));
    const { stdout } = await node(directory, [name, 'exit']);
    assert.equal((await run('test', ['-e', stdout.trim()])).code, 1, `${stdout.trim()} is left`);
    await using owner = await start(process.execPath, [name, 'stay', join(directory, 'state')], {
      ready: { output: /is running/ },
    });
    const pid = Number.parseInt(owner.output(), 10);
    assert.ok(isAlive(pid));
    owner.child.kill('SIGKILL');
    await waitFor(() => !isAlive(pid), { what: 'the end of the daemon' });
  });
});
