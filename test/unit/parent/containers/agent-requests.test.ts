import assert from 'node:assert/strict';
import { parseActivation, parseOwner, parseReservation } from '../../../../parent/containers/request-schemas.js';
import { ContainersError } from '../../../../parent/errors.js';

const range = { protocol: 'tcp', hostIP: '127.0.0.2', hostPort: 8080, containerPort: 80, count: 1 };

describe('requests of the agent', () => {
  it('are accepted if they are valid', () => {
    assert.deepEqual(parseReservation({ owner: 'x', ranges: [range] }), { owner: 'x', ranges: [range] });
    const { count: _, ...single } = range;
    assert.deepEqual(parseReservation({ owner: 'x', ranges: [single] }), { owner: 'x', ranges: [range] });
    assert.deepEqual(parseActivation({ owner: 'x', childIP: '' }), { owner: 'x', childIP: '' });
    assert.deepEqual(parseOwner({ owner: 'x' }), { owner: 'x' });
  });

  const reserve = (change: object) => () => parseReservation({ owner: 'x', ranges: [{ ...range, ...change }] });
  const reserveMany = (count: number, change: object) => () =>
    parseReservation({ owner: 'x', ranges: Array.from({ length: count }, () => ({ ...range, ...change })) });
  for (const [what, parse] of [
    ['no request at all', () => parseReservation(undefined)],
    ['no owner', () => parseOwner({ owner: '' })],
    ['an owner without end', () => parseOwner({ owner: 'x'.repeat(300) })],
    ['no address', () => parseActivation({ owner: 'x', childIP: 'localhost' })],
    ['no address of the host', reserve({ hostIP: 'localhost' })],
    ['another protocol', reserve({ protocol: 'sctp' })],
    ['ports after the last one of the host', reserve({ hostPort: 65_535, count: 2 })],
    ['ports after the last one of the container', reserve({ containerPort: 65_535, count: 2 })],
    ['port 0 of the container', reserve({ containerPort: 0 })],
    ['no port', reserve({ hostPort: '80' })],
    ['thousands of ports in ranges of thousands', reserveMany(3, { count: 9000, hostPort: 20_000 })],
    ['a range of the host for several ports', reserve({ count: 2, hostPortEnd: 9000 })],
    ['a range of the host that ends before it begins', reserve({ hostPortEnd: 80 })],
    ['ranges without end', () => parseReservation({ owner: 'x', ranges: Array.from({ length: 2000 }, () => range) })],
  ] as const) {
    it(`are refused in one line: ${what}`, () => {
      assert.throws(
        parse,
        (error) => error instanceof ContainersError && /^invalid request of the agent: .*$/.test(error.message),
      );
    });
  }
});
