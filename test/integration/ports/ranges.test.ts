import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { accepts, type RunningStack, run, type Started, startStack, tcpRequest } from '../../support/index.js';
import { freeRange } from './suite/common.js';

const HOST = '127.0.0.4';
const COUNT = 3000;
/** A server in the child, and how many ports a list has. */
const INSIDE = 10_000;
const LISTED = 200;
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

describe('lists of ports', () => {
  let first: number;
  let stack: RunningStack;
  let server: Started;
  before(async () => {
    first = await freeRange(HOST, 2 * LISTED);
    stack = await startStack();
    server = await stack.program('tcp-server', 'echo', '127.0.0.1', INSIDE);
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await stack?.[Symbol.asyncDispose]();
  });
  /** Every second port leads to the server, so that not all of them are one range. */
  const specs = () =>
    Array.from({ length: LISTED }, (_, index) => ({
      proto: 'tcp',
      parentIP: HOST,
      parentPort: first + index,
      childPort: index % 2 === 0 ? INSIDE : INSIDE + index,
    }));

  it('are added and removed with one request', async () => {
    const added = await stack.api.addPorts([...specs(), { ...specs()[0], proto: 'udp', parentPort: 0, childPort: 53 }]);
    assert.deepEqual(
      added.map(({ id }) => id),
      Array.from({ length: LISTED + 1 }, (_, index) => (added[0]?.id ?? 0) + index),
    );
    assert.ok((added.at(-1)?.spec.parentPort ?? 0) > 0, 'the chosen port is reported');
    for (const offset of [0, LISTED - 2]) {
      assert.equal((await tcpRequest(HOST, first + offset, `to ${offset}`)).toString(), `to ${offset}`);
    }
    await stack.api.removePorts(added.slice(1).map(({ id }) => id));
    assert.deepEqual(await stack.api.listPorts(), added.slice(0, 1));
    assert.equal(await accepts(HOST, first + 2), false);
    await stack.api.removePorts([added[0]?.id ?? 0]);
    assert.deepEqual(await stack.api.listPorts(), []);
  });

  it('are published in no part where one of the ports is in use', async () => {
    await using other = createServer();
    other.listen(first + 50, HOST);
    await once(other, 'listening');
    await assert.rejects(stack.api.addPorts(specs()), {
      code: 'port-unavailable',
      field: '50',
      message: new RegExp(
        `^listen tcp ${HOST}:${first + 50}: bind: address already in use; .* \\(entry 51 of ${LISTED}, ${HOST}:${first + 50}:${INSIDE}/tcp; none was added\\)$`,
      ),
    });
    assert.deepEqual(await stack.api.listPorts(), []);
    assert.equal(await accepts(HOST, first), false);
  });

  it('name the port of a range that is in use', async () => {
    await using other = createServer();
    other.listen(first + 50, HOST);
    await once(other, 'listening');
    const range = Array.from({ length: LISTED }, (_, index) => ({
      ...{ proto: 'tcp', parentIP: HOST, parentPort: first + index, childPort: INSIDE + index },
    }));
    await assert.rejects(stack.api.addPorts(range), { field: '50', message: /\(entry 51 of 200, / });
  });

  it('are what rootlessctl sends for several', async () => {
    const texts = specs().map(({ parentPort, childPort }) => `${HOST}:${parentPort}:${childPort}`);
    const { code, stdout, stderr } = await stack.ctl('add-ports', ...texts);
    assert.deepEqual([code, stderr], [0, '']);
    const ids = stdout.trimEnd().split('\n').map(Number);
    assert.deepEqual(
      (await stack.api.listPorts()).map(({ id }) => id),
      ids,
    );
    const removed = await stack.ctl('remove-ports', `${ids[0]}-${ids.at(-1)}`);
    assert.deepEqual([removed.code, removed.stdout], [0, stdout]);
    assert.deepEqual(await stack.api.listPorts(), []);
  });

  it('keep, one after the other, what comes before a failure where rootlessctl adds them', async () => {
    const spec = `${HOST}:${first}:${INSIDE}`;
    const { code, stdout, stderr } = await stack.ctl('add-ports', spec, spec, `${HOST}:${first + 1}:${INSIDE}`);
    const id = stdout.trimEnd();
    assert.equal(code, 1);
    assert.match(
      stderr,
      new RegExp(`^error: conflict with ID ${id} \\(at .*; added before it: ID ${id}; not tried: 1 `),
    );
    assert.equal((await stack.ctl('remove-ports', id)).code, 0);
  });
});
