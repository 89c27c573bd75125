import assert from 'node:assert/strict';
import { type FakeStack, startFakeStack } from '../../../support/stacks/fake-stack.js';
import { ask, assertRefused } from './raw-requests.js';

const spec = (parentPort: number, more: object = {}) => ({
  proto: 'tcp',
  parentIP: '127.0.0.2',
  parentPort,
  childPort: 80,
  ...more,
});

describe('API server: lists of ports', () => {
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack();
  });
  afterEach(() => stack.close());
  const add = (list: readonly unknown[]) => ask(stack, 'POST', '/v1/ports', JSON.stringify(list));
  const refuses = (list: readonly unknown[], message: RegExp) =>
    assertRefused(stack, ['POST', '/v1/ports', JSON.stringify(list)], 400, message);
  const ids = () => stack.ports.list().map(({ id, count }) => (count === 1 ? id : `${id}+${count}`));

  it('are added with one request, and answered in their order', async () => {
    const list = [spec(8082), spec(8081, { count: 3 }), spec(0)];
    list.splice(1, 1, spec(8090, { count: 3 }));
    const { status, body } = await add(list);
    assert.equal(status, 201);
    assert.deepEqual(JSON.parse(body), [
      { id: 1, spec: list[0] },
      { id: 2, spec: list[1] },
      { id: 5, spec: { ...list[2], parentPort: 40_005 } },
    ]);
    assert.deepEqual(ids(), [1, '2+3', 5]);
  });

  it('of the greatest length are read', async () => {
    const { status, body } = await add(Array.from({ length: 10_000 }, (_, index) => spec(10_000 + index)));
    assert.deepEqual([status, (JSON.parse(body) as unknown[]).length, ids().length], [201, 10_000, 10_000]);
  });

  it('are refused as a whole for one entry, which is named', async () => {
    await add([spec(8080)]);
    await refuses(
      [spec(8081), spec(8080), spec(8082)],
      /^conflict with ID 1 \(entry 2 of 3, 127\.0\.0\.2:8080:80\/tcp; none was added\)$/,
    );
    await refuses([spec(8081), spec(80)], /^cannot expose privileged port 80 \(entry 2 of 2, /);
    await refuses([spec(8081), { ...spec(8082), x: 1 }], /^invalid port: unknown key "x"; .* \(entry 2 of 2; none /);
    await refuses([spec(8081), null], /^invalid port: null is not an object .* \(entry 2 of 2; none was added\)$/);
    await refuses([spec(8081), spec(8082), spec(8081)], /^127\.0\.0\.2:8081\/tcp is given twice \(entry 3 of 3, /);
    assert.deepEqual(ids(), [1]);
  });

  it('have a greatest length', async () => {
    await refuses([], /^the list of ports is empty$/);
    await refuses(new Array(10_001).fill(0), /^the list has 10001 ports; 10000 can be added at a time$/);
  });

  it('are not kept by a stack that keeps none', async () => {
    const message = /^this stack does not keep ports; /;
    await assertRefused(stack, ['POST', '/v1/ports?persist=true', JSON.stringify([spec(8080)])], 400, message);
    assert.deepEqual(ids(), []);
  });

  describe('are removed', () => {
    beforeEach(() => add([spec(8080, { count: 5 }), spec(9080), spec(9090)]));
    const remove = (text: string) => ask(stack, 'DELETE', `/v1/ports?ids=${text}`);

    it('by their ids and ranges of ids', async () => {
      const { status, body } = await remove('2-3,7,5-6');
      assert.deepEqual([status, body], [200, '']);
      assert.deepEqual(ids(), [1, 4]);
    });

    it('all or none', async () => {
      const refused = (text: string, message: RegExp) =>
        assertRefused(stack, ['DELETE', `/v1/ports?ids=${text}`, undefined], 400, message);
      await refused('1,9', /^unknown id: 9; none was removed$/);
      await refused('1-8', /^unknown id: 8; none was removed$/);
      await refused('0-2', /^unknown id: 0; none was removed$/);
      await refused('1-999999999999999', /^unknown id: 8; none was removed$/);
      await refused('1,1', /^id 1 is given twice$/);
      await refused('1-3,2-4', /^id 2 is given twice$/);
      await refused('3-1', /^bad ids 3-1: the range is reversed$/);
      await refused('1,x', /^bad id x: neither a number nor a range, such as 1-1000$/);
      await refused('', /^bad id : neither a number/);
      assert.deepEqual(ids(), ['1+5', 6, 7]);
      await remove('3');
      await refused('1-5', /^unknown id: 3; none was removed$/);
    });
  });
});
