import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { binPath, freePort, run, start, tempDir } from '../../support/index.js';
import { differences } from './differences.js';
import { booleanRows, ctlRows, emptyRows, numberRows, oddRows, repeatedRows } from './option-rows.js';
import { type CallRow, type CommandRow, callRows, commandRows } from './table.js';

/** Debian's RootlessKit, and this project's program of that name. */
const theirs = ['rootlesskit'];
const ours = [binPath('rootlesskit')];

/** What is compared, as one text each. */
type Compared = Readonly<Record<string, string>>;

/** The line about wrong options, without the help that follows it, which is our own. */
function usageOf(stdout: string): Compared {
  const [usage = '', ...help] = stdout.split('\n');
  return usage.startsWith('Incorrect Usage.') && help.length > 1 ? { usage } : { stdout };
}

/** A line of the log without its time; later versions of RootlessKit have the name of the process in it. */
function timeless(line: string): string {
  return line.replace(/^time="[^"]*" (level=\w+ msg=")\[rootlesskit:parent\] /, '$1').replace(/^time="[^"]*" /, '');
}

/** Messages may be longer than RootlessKit's: they have a hint. */
function withoutAdvice(their: Compared, our: Compared): Compared {
  const same = { ...our };
  for (const [part, text] of Object.entries(their)) {
    const start = text.replace(/"\}\n$/, '');
    if (['message', 'usage', 'body'].includes(part) && text !== '' && our[part]?.startsWith(start)) same[part] = text;
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
  return { code: String(code), ...usageOf(stdout), ...(message ? { message: timeless(last) } : {}) };
}

const rows = [...commandRows, ...emptyRows, ...numberRows, ...booleanRows, ...repeatedRows, ...oddRows];

describe('the same command line', () => {
  for (const row of rows) {
    it(row.name, async () => {
      // At the same time, for there are many.
      const result = async (program: readonly string[]) => runRow(program, row, await freePort('127.0.0.1'));
      const [their, our] = await Promise.all([result(theirs), result(ours)]);
      compare(row.name, their, our);
    });
  }
});

describe('the same command line of rootlessctl', () => {
  for (const args of ctlRows) {
    it(`rootlessctl ${args.map((word) => (word === '' ? '""' : word)).join(' ')}`, async () => {
      const env = { ROOTLESSKIT_STATE_DIR: undefined };
      const { code, stderr } = await run('rootlessctl', args, { env });
      const our = await run(binPath('rootlessctl'), args, { env });
      // The words differ; what is left out, and where it is written, does not.
      assert.deepEqual([our.code, our.stderr === ''], [code, stderr === ''], our.stderr);
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

describe('what info shows', () => {
  const set = ['--disable-host-loopback', '--copy-up=/etc'];
  for (const options of [
    [],
    ['--net=slirp4netns', ...set],
    ['--net=slirp4netns', ...set, '--cidr=10.9.0.0/24', '--port-driver=builtin'],
    ['--net=slirp4netns', ...set, '--port-driver=slirp4netns'],
  ]) {
    it(`with ${options.join(' ') || 'nothing'} has all that RootlessKit shows`, async () => {
      const script = 'until rootlessctl info > /dev/null 2>&1; do :; done; rootlessctl info --json';
      const infoOf = async ([command = '', ...first]: readonly string[]) => {
        const { stdout } = await run(command, [...first, ...options, 'sh', '-c', script]);
        const { apiVersion, version, stateDir, childPID, networkDriver, portDriver, ...more } = JSON.parse(stdout);
        for (const text of [apiVersion, version]) assert.match(text, /^\d+\.\d+\.\d+/);
        assert.match(stateDir, /\/rootlesskit\w+$/);
        assert.equal(typeof childPID, 'number');
        return { networkDriver, portDriver, ...more };
      };
      // RootlessKit's client leaves out what RootlessKit has not.
      assert.deepEqual(await infoOf(ours), await infoOf(theirs));
    });
  }
});

describe('the list of differences', () => {
  it('is about rows that exist', () => {
    const names = new Set([...rows, ...callRows].map(({ name }) => name));
    for (const name of Object.keys(differences)) assert(names.has(name), name);
  });
});
