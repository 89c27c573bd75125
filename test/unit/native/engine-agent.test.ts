import assert from 'node:assert/strict';
import { read, write } from 'node:fs';
import { promisify } from 'node:util';
import { pack, unpackMultiple } from 'msgpackr';
import { native } from '../../../native/index.js';
import { decodeTarget } from '../../../protocol/wire/messages.js';
import { waitFor } from '../../support/index.js';
import { EngineSide } from '../../support/stacks/engine-side.js';
import { connectRequest, ECONNREFUSED, echoServer, garbage } from './engine-packets.js';

describe('the engine of the agent', () => {
  /** Those of one packet; none at the end. */
  const readAnswers = async (fd: number): Promise<unknown[]> => {
    const { bytesRead, buffer } = await promisify(read)(fd, Buffer.alloc(65_536), 0, 65_536, null);
    return bytesRead === 0 ? [] : unpackMultiple(buffer.subarray(0, bytesRead));
  };

  /** The agent's engine, and what stands for the parent: an engine to send with, or a bare socket to read from. */
  function serving(): { agent: EngineSide; up: number } & Disposable {
    const [up, down] = native().socketpair();
    const agent = new EngineSide();
    agent.engine.serveConnects(1);
    agent.engine.openChannel(1, down);
    return { agent, up, [Symbol.dispose]: () => agent.engine.close() };
  }

  /** Waits until the engine's thread has done what it was asked for so far; for the `time`-th time in a test. */
  async function settled(agent: EngineSide, time = 1): Promise<void> {
    // The event comes also where there is no such port.
    agent.engine.removePorts(1, 1);
    await agent.wait('port-closed', time);
  }

  it('asks for the plan of a target once, and answers all requests that waited for it', async () => {
    using side = serving();
    const { agent, up } = side;
    const unused = native().listen('127.0.0.1', 0, 'tcp', false);
    native().closeFd(unused.fd);
    for (let id = 1; id <= 5; id++) await promisify(write)(up, connectRequest(id, unused.port));
    const { target } = await agent.wait('plan-wanted');
    assert.deepEqual(decodeTarget(target), {
      proto: 'tcp',
      ip: '',
      parentIP: '127.0.0.1',
      hostGatewayIP: '',
      source: 'hide',
      container: '',
    });
    agent.engine.setPlan(target, ['127.0.0.1'], false);
    const refused = `connect 127.0.0.1:${unused.port}: Connection refused`;
    assert.deepEqual(
      await readAnswers(up),
      [1, 2, 3, 4, 5].map((id) => [2, id, ECONNREFUSED, refused]),
    );
    assert.equal(agent.of('plan-wanted').length, 1);

    // The second address, where the first one refuses.
    await using server = await echoServer();
    await promisify(write)(up, connectRequest(6, server.port, '10'));
    const second = await agent.wait('plan-wanted', 2);
    agent.engine.setPlan(second.target, ['127.0.0.2', '127.0.0.1'], false);
    assert.deepEqual(await readAnswers(up), [[2, 6]]);

    // Nowhere to go.
    await promisify(write)(up, connectRequest(7, 9, '11'));
    agent.engine.setPlan((await agent.wait('plan-wanted', 3)).target, [], false);
    assert.deepEqual(await readAnswers(up), [[2, 7, ECONNREFUSED, 'connect: Connection refused']]);
    native().closeFd(up);
    await agent.wait('channel-closed');
  });

  it('ends the conversation with a parent that sends garbage', async () => {
    for (const packet of garbage()) {
      // What is not a result is not a request either, except the request among them.
      if (packet.equals(connectRequest(1, 80))) continue;
      using side = serving();
      await promisify(write)(side.up, packet);
      const { reason } = await side.agent.wait('channel-closed');
      assert.match(reason, /invalid packet \(\d+ bytes\)$/, packet.toString('hex'));
      // The other side sees the end, too.
      assert.deepEqual(await readAnswers(side.up), []);
      native().closeFd(side.up);
    }
  });

  it('forgets a target without waiting requests, and then asks anew', async () => {
    using side = serving();
    const { agent, up } = side;
    const refused = (id: number) => [2, id, ECONNREFUSED, 'connect 127.0.0.1:9: Connection refused'];
    await promisify(write)(up, connectRequest(1, 9));
    const { target } = await agent.wait('plan-wanted');
    // What was set for a port before this one.
    agent.engine.forgetPlan(target);
    agent.engine.setPlan(target, ['127.0.0.1'], false);
    assert.deepEqual(await readAnswers(up), [refused(1)]);
    agent.engine.forgetPlan(target);
    await settled(agent);
    await promisify(write)(up, connectRequest(2, 9));
    await agent.wait('plan-wanted', 2);
    agent.engine.setPlan(target, ['127.0.0.1'], false);
    assert.deepEqual(await readAnswers(up), [refused(2)]);
    native().closeFd(up);
    await agent.wait('channel-closed');
  });

  it('requests again what was dropped, also for requests that wait', async () => {
    using side = serving();
    const { agent, up } = side;
    const request = (id: number) => pack([1, id, ['tcp', '', '127.0.0.1', '', 'keep', ''], 9, 0, '192.0.2.7', 4]);
    await promisify(write)(up, request(1));
    const { target } = await agent.wait('plan-wanted');
    agent.engine.setPlan(target, ['127.0.0.1'], true);
    await agent.wait('client-wanted');
    agent.engine.forgetPlans();
    await agent.wait('plan-wanted', 2);
    agent.engine.setPlan(target, ['127.0.0.1'], true);
    await agent.wait('client-wanted', 2);
    agent.engine.setClient(target, '192.0.2.7', false, 0);
    const refused = (id: number) => [2, id, ECONNREFUSED, 'connect 127.0.0.1:9: Connection refused'];
    assert.deepEqual(await readAnswers(up), [refused(1)]);
    native().closeFd(up);
    await agent.wait('channel-closed');
  });

  it('caches only for a moment that the address of a client cannot be kept', async () => {
    using side = serving();
    const { agent, up } = side;
    const request = (id: number) => pack([1, id, ['tcp', '', '127.0.0.1', '', 'keep', ''], 9, 0, '192.0.2.7', 4]);
    await promisify(write)(up, request(1));
    const { target } = await agent.wait('plan-wanted');
    agent.engine.setPlan(target, ['127.0.0.1'], true);
    await agent.wait('client-wanted');
    agent.engine.setClient(target, '192.0.2.7', false, 0);
    let id = 1;
    const askedAgain = async () => {
      await promisify(write)(up, request(++id));
      return agent.of('client-wanted').length > 1;
    };
    await waitFor(askedAgain, { what: 'the second question' });
    assert.equal(agent.of('plan-wanted').length, 1);
    native().closeFd(up);
    await agent.wait('channel-closed');
  });

  it("goes to the addresses of the client's own family first", async () => {
    using side = serving();
    const { agent, up } = side;
    for (const [id, client, first] of [
      [1, '127.0.0.1', '127.0.0.1:9'],
      [2, '::1', '[::1]:9'],
    ] as const) {
      await promisify(write)(up, pack([1, id, ['udp', '', '', '', 'keep', ''], 9, 9, client, 4]));
      const { target } = await agent.wait('plan-wanted', id);
      agent.engine.setPlan(target, ['::1', '127.0.0.1'], true);
      // What could not be tried any more is the last one.
      const last = first === '[::1]:9' ? '127.0.0.1:9' : '[::1]:9';
      assert.deepEqual(await readAnswers(up), [[2, id, ECONNREFUSED, `connect ${last}: Connection refused`]]);
      agent.engine.forgetPlans();
      await settled(agent, id);
    }
    native().closeFd(up);
    await agent.wait('channel-closed');
  });

  it('drops waiting requests when the session has ended', async () => {
    using side = serving();
    const { agent, up } = side;
    for (let id = 1; id <= 100; id++) await promisify(write)(up, connectRequest(id, 9));
    const { target } = await agent.wait('plan-wanted');
    await promisify(write)(up, Buffer.from([0x90]));
    await agent.wait('channel-closed');
    agent.engine.setPlan(target, ['127.0.0.1'], false);
    // It works on, for another parent.
    const [next, down] = native().socketpair();
    agent.engine.serveConnects(2);
    agent.engine.openChannel(2, down);
    await promisify(write)(next, connectRequest(1, 9));
    assert.deepEqual(await readAnswers(next), [[2, 1, ECONNREFUSED, 'connect 127.0.0.1:9: Connection refused']]);
    native().closeFd(up);
    native().closeFd(next);
  });
});
