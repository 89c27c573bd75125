import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { median } from '../../../../bench/report/statistics.js';
import {
  echo,
  openConnection,
  type RunningStack,
  start,
  startStack,
  tcpRequest,
  udpAsk,
  waitFor,
} from '../../../support/index.js';
import { pythonProgram } from '../../../support/paths.js';

const TCP = 7001;
const UDP = 7002;

/** Clients that each ask once, from a port of their own, and are gone. */
const ONE_SHOT_CLIENTS = pythonProgram('traffic/one-shot-clients');

for (const threads of [1, 3])
  describe(`a port keeps its part of the descriptors, with ${threads} threads`, () => {
    function startWith(limit: number): Promise<RunningStack> {
      return startStack({
        args: ['--net=none', `--port-threads=${threads}`],
        wrapper: ['prlimit', `--nofile=${limit}:${limit}`],
      });
    }

    it('of 1,024, while 20,000 one-shot clients of UDP come: clients of TCP and of other UDP ports are served', async () => {
      await using stack = await startWith(1024);
      await using _tcp = await stack.program('tcp-server', 'echo', '127.0.0.1', TCP);
      await using _udp = await stack.program('udp-server', 'echo', '127.0.0.1', UDP);
      const tcp = await stack.publish(`127.0.0.2:0:${TCP}`);
      const flooded = await stack.publish(`127.0.0.2:0:${UDP}/udp`);
      const other = await stack.publish(`127.0.0.3:0:${UDP}/udp`);
      const usual: number[] = [];
      for (let time = 0; time < 5; time++) {
        const began = performance.now();
        await tcpRequest(tcp.host, tcp.port, 'served');
        usual.push(performance.now() - began);
      }
      const words = ['-c', ONE_SHOT_CLIENTS, flooded.host, String(flooded.port), '20000'];
      await using flood = await start('python3', words, { ready: { output: /^ready$/m } });
      const times: number[] = [];
      let ended = false;
      flood.ended.then(() => {
        ended = true;
      });
      for (let after = 0; after < 5; after += ended ? 1 : 0) {
        const began = performance.now();
        assert.equal((await tcpRequest(tcp.host, tcp.port, 'served')).toString(), 'served');
        times.push(performance.now() - began);
        // Nobody's datagram is safe in a flood, so it is sent again as clients do; but its flow has to come about.
        if (ended) assert.equal((await udpAsk(other.host, other.port, 'served')).toString(), 'served');
      }
      assert.match(flood.output(), /^done$/m);
      // The flood takes a processor, too.
      assert.ok(
        median(times) < 100 + 10 * median(usual),
        `${times.map(Math.round)} ms; before ${usual.map(Math.round)} ms`,
      );
      assert.equal((await stack.report(tcp.id)).listener?.state, 'listening');
      assert.ok((await stack.counters(flooded.id)).opened > 1000);

      // Flows make room for connections, as many as there are of these.
      const sockets: Socket[] = [];
      try {
        for (let i = 0; i < 200; i++) sockets.push(await openConnection(tcp.host, tcp.port));
        for (const socket of sockets) assert.equal(await echo(socket, 'held'), 'held');
      } finally {
        for (const socket of sockets) socket.destroy();
      }
    });

    it('of 256, while another holds all the connections that it can', async () => {
      await using stack = await startWith(256);
      await using _tcp = await stack.program('tcp-server', 'echo', '127.0.0.1', TCP);
      await using _udp = await stack.program('udp-server', 'echo', '127.0.0.1', UDP);
      const full = await stack.publish(`127.0.0.2:0:${TCP}`);
      const tcp = await stack.publish(`127.0.0.3:0:${TCP}`);
      const udp = await stack.publish(`127.0.0.2:0:${UDP}/udp`);
      const sockets = await Promise.all(Array.from({ length: 150 }, () => openConnection(full.host, full.port)));
      try {
        for (const socket of sockets) socket.on('error', () => {});
        const state = async () => (await stack.report(full.id)).listener?.state;
        await waitFor(async () => (await state()) === 'waiting', { what: 'the port to have all that it can' });
        assert.equal((await tcpRequest(tcp.host, tcp.port, 'served')).toString(), 'served');
        assert.equal((await udpAsk(udp.host, udp.port, 'served')).toString(), 'served');
        assert.equal((await stack.report(tcp.id)).listener?.state, 'listening');
        // One that is published only now, too.
        const late = await stack.publish(`127.0.0.4:0:${TCP}`);
        assert.equal((await tcpRequest(late.host, late.port, 'served')).toString(), 'served');
      } finally {
        for (const socket of sockets) socket.destroy();
      }
    });
  });
