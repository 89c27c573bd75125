import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { accepts, type RunningStack, run, type Started, startStack, tcpRequest } from '../../support/index.js';
import { freeRange } from './suite/common.js';

const HOST = '127.0.0.4';
const COUNT = 3000;
/** Ports of the child that have a server: the first, one in the middle, and the last. */
const SERVED = [10_000, 11_500, 12_999];

/** How many sockets listen on the address. */
async function listening(): Promise<number> {
  const { stdout } = await run('ss', ['-Hlnt', 'src', HOST]);
  return stdout.split('\n').filter((line) => line !== '').length;
}

describe('a range of thousands of ports', () => {
  let first: number;
  let range: string;
  let stack: RunningStack;
  const servers: Started[] = [];
  const added: number[] = [];
  const list = async () => {
    const { code, stdout } = await stack.ctl('list-ports', '--json');
    assert.equal(code, 0);
    return stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { id: number; spec: { parentPort: number; childPort: number } });
  };

  before(async () => {
    first = await freeRange(HOST, COUNT);
    range = `${HOST}:${first}-${first + COUNT - 1}:10000-${10_000 + COUNT - 1}`;
    stack = await startStack();
    for (const port of SERVED) servers.push(await stack.program('tcp-server', 'echo', '127.0.0.1', port));
  });
  after(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    await stack?.[Symbol.asyncDispose]();
  });

  it('is published as a whole, and listed one by one', async () => {
    const { code, stdout, stderr } = await stack.ctl('add-ports', range);
    assert.deepEqual([code, stderr], [0, '']);
    added.push(...stdout.trimEnd().split('\n').map(Number));
    assert.equal(added.length, COUNT);
    assert.equal(await listening(), COUNT);
    assert.deepEqual(
      (await list()).map(({ id, spec }) => [id, spec.parentPort, spec.childPort]),
      added.map((id, offset) => [id, first + offset, 10_000 + offset]),
    );
  });

  it('leads each port to the one in the same place', async () => {
    for (const port of SERVED) {
      assert.equal((await tcpRequest(HOST, first + port - 10_000, `for ${port}`)).toString(), `for ${port}`);
    }
  });

  it('is in conflict with each of its ports, by the id of that one', async () => {
    const { code, stderr } = await stack.ctl('add-ports', `${HOST}:${first + 1500}:80`);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^error: conflict with ID ${added[1500]}; hint: ${HOST}:${first + 1500}/tcp is `));
  });

  it('can lose a port of its middle, which can be published again', async () => {
    const id = String(added[1500]);
    assert.deepEqual(await stack.ctl('remove-ports', id), { code: 0, signal: null, stdout: `${id}\n`, stderr: '' });
    assert.equal(await listening(), COUNT - 1);
    assert.equal(await accepts(HOST, first + 1500), false);
    assert.equal((await list()).length, COUNT - 1);
    assert.match((await stack.ctl('remove-ports', id)).stderr, new RegExp(`unknown id: ${id}`));
    for (const port of [SERVED[0], SERVED[2]]) {
      assert.equal((await tcpRequest(HOST, first + Number(port) - 10_000, 'still here')).toString(), 'still here');
    }
    const again = await stack.ctl('add-ports', `${HOST}:${first + 1500}:11500`);
    assert.equal(again.code, 0, again.stderr);
    assert.ok(Number(again.stdout) > Number(added.at(-1)), 'an id is never used again');
    assert.equal((await tcpRequest(HOST, first + 1500, 'back')).toString(), 'back');
  });

  it('is published in no part where one of its ports is in use', async () => {
    const before = await listening();
    const other = await freeRange('127.0.0.5', 100);
    await using server = createServer();
    server.listen(other + 50, '127.0.0.5');
    await once(server, 'listening');
    const { code, stdout, stderr } = await stack.ctl('add-ports', `127.0.0.5:${other}-${other + 99}:1-100`);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, new RegExp(`listen tcp 127.0.0.5:${other + 50}: bind: address already in use`));
    assert.equal(await accepts('127.0.0.5', other), false);
    assert.equal(await listening(), before);
    assert.equal((await list()).length, COUNT);
  });
});
