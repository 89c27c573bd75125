import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { binPath, freePort, run, start, tempDir } from '../../support/index.js';
import { differences } from './differences.js';
import { type CallRow, type CommandRow, callRows, commandRows } from './table.js';

/** Debian's RootlessKit, and ours under its name. */
const theirs = ['rootlesskit'];
const ours = [process.execPath, binPath('rootlesskit')];

/** What is compared, as one text each. */
type Compared = Readonly<Record<string, string>>;

/** Our messages may go on where theirs end: they say what to do. */
function withoutAdvice(their: Compared, our: Compared): Compared {
  const same = { ...our };
  for (const [part, text] of Object.entries(their)) {
    const start = text.replace(/"\}\n$/, '');
    if ((part === 'message' || part === 'body') && text !== '' && our[part]?.startsWith(start)) same[part] = text;
  }
  return same;
}

function compare(name: string, their: Compared, ourWhole: Compared): void {
  const our = withoutAdvice(their, ourWhole);
  const difference = differences[name];
  const differing = Object.keys({ ...their, ...our }).filter((part) => their[part] !== our[part]);
  // With the texts, so that a failure shows them.
  if (!difference) assert.deepEqual(our, their);
  else assert.deepEqual(differing.sort(), [...difference.parts].sort(), `ours: ${JSON.stringify(our)}`);
}

async function runRow(program: readonly string[], { args, env, message }: CommandRow, port: number): Promise<Compared> {
  const [command = '', ...first] = program;
  const words = args.map((word) => word.replace('SPEC', `127.0.0.1:${port}`));
  // RootlessKit leaves its temporary state directory behind where a start fails.
  const { code, stdout, stderr } = await run(command, [...first, ...words], { env: { TMPDIR: tempDir(), ...env } });
  const last = stderr.trim().split('\n').at(-1) ?? '';
  return { code: String(code), stdout, ...(message ? { message: last } : {}) };
}

describe('the same command line', () => {
  for (const row of commandRows) {
    it(row.name, async () => {
      const port = await freePort('127.0.0.1');
      const their = await runRow(theirs, row, port);
      compare(row.name, their, await runRow(ours, row, port));
    });
  }
});

async function callAll(program: readonly string[], port: number): Promise<Map<string, Compared>> {
  const [command = '', ...first] = program;
  const stateDir = join(tempDir(), 'state');
  const socketPath = join(stateDir, 'api.sock');
  const options = ['--net=slirp4netns', '--disable-host-loopback', '--copy-up=/etc', '--port-driver=builtin'];
  const results = new Map<string, Compared>();
  const words = [...first, ...options, `--state-dir=${stateDir}`, 'sleep', '100'];
  await using _stack = await start(command, words, {
    ready: {
      check: () =>
        call(socketPath, { name: '', method: 'GET', path: '/v1/info' }, port).then(
          () => true,
          () => false,
        ),
    },
  });
  for (const row of callRows) {
    results.set(row.name, await call(socketPath, row, port));
    const listed = await run('ss', ['-Hltun', `sport = :${port}`]);
    const listeners = listed.stdout
      .split('\n')
      .map((line) => line.split(/\s+/))
      .map(([proto, , , , local]) => `${proto} ${local}`);
    results.set(`listeners after: ${row.name}`, {
      listeners: listeners.sort().join('\n').replaceAll(String(port), 'FREE'),
    });
  }
  return results;
}

function call(socketPath: string, { method, path, body }: CallRow, port: number): Promise<Compared> {
  const text = body?.replaceAll('FREE', String(port));
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, agent: false }, (response) => {
      let answer = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        answer += chunk;
      });
      response.on('end', () =>
        resolve({ status: String(response.statusCode), body: answer.replaceAll(String(port), 'FREE') }),
      );
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

describe('the same calls of the API', () => {
  let their: Map<string, Compared>;
  let our: Map<string, Compared>;
  before(async () => {
    const port = await freePort('127.0.0.1');
    their = await callAll(theirs, port);
    our = await callAll(ours, port);
  });

  for (const { name } of callRows) {
    it(name, () => {
      compare(name, their.get(name) ?? {}, our.get(name) ?? {});
      const after = `listeners after: ${name}`;
      compare(after, their.get(after) ?? {}, our.get(after) ?? {});
    });
  }
});

describe('the list of differences', () => {
  it('is about rows that there are', () => {
    const names = new Set([...commandRows, ...callRows].map(({ name }) => name));
    for (const name of Object.keys(differences)) assert(names.has(name), name);
  });
});
