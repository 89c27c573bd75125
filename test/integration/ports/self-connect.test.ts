import assert from 'node:assert/strict';
import { startStack, tcpOutcome } from '../../support/index.js';

describe('when a port inside is one that the kernel chooses for clients', () => {
  it('no connection is made to itself if no server listens', async () => {
    await using stack = await startStack();
    const range = '/proc/sys/net/ipv4/ip_local_port_range';
    assert.equal((await stack.enter('sh', '-c', `echo 7002 7003 > ${range}`)).code, 0);
    const { port, id } = await stack.publish('127.0.0.2:0:7002');
    for (let i = 0; i < 10; i++) {
      const { data, error } = await tcpOutcome('127.0.0.2', port, 'to myself', { end: false });
      assert.deepEqual([data.toString(), error], ['', 'ECONNRESET']);
    }
    const { open, refused } = await stack.counters(id);
    assert.deepEqual({ open, refused }, { open: 0, refused: 10 });
  });
});
