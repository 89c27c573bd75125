import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { udpAsk, waitFor } from '../../../support/index.js';
import { all4, all6, bracket, ECHO, type Group, host4, newPort, serverAddress, withStack } from './common.js';

export const datagrams: Group = (suite) => {
  const at = serverAddress(suite);
  const { ipv6, observable, repliesFromAsked, loopbackDatagrams } = suite.capabilities;
  if (!loopbackDatagrams) return;
  describe('UDP', () => {
    const stack = withStack(suite, async (running) => [await running.program('udp-server', 'echo', at, ECHO)]);

    it('carries datagrams of every size, the empty one and the largest included', async () => {
      const { port } = await stack().publish(`127.0.0.2:0:${ECHO}/udp`);
      for (const size of [0, 1, 512, 1400, 8192, 60_000, 65_507]) {
        const data = randomBytes(size);
        const answer = await udpAsk('127.0.0.2', port, data);
        assert.ok(answer.equals(data), `a datagram of ${size} bytes came back with ${answer.length}`);
      }
    });

    if (ipv6)
      it('carries large datagrams over IPv6', async () => {
        const { port } = await stack().publish(`[::1]:0:${ECHO}/udp`);
        for (const size of [8192, 60_000]) {
          const data = randomBytes(size);
          assert.ok((await udpAsk('::1', port, data)).equals(data));
        }
      });

    for (const host of ['127.0.0.1', '127.0.0.2', ...(ipv6 ? ['::1'] : [])]) {
      it(`carries all of what a client of ${host} sends at the start, one datagram or ten`, async () => {
        const { port } = await stack().publish(`${bracket(host)}:0:${ECHO}/udp`);
        for (let count = 1; count <= 10; count++) {
          const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
          const got: string[] = [];
          socket.on('message', (data) => got.push(data.toString()));
          await new Promise<void>((resolve) => socket.connect(port, host, resolve));
          const sent = Array.from({ length: count }, (_, i) => `${i} of ${count}`);
          for (const text of sent) socket.send(text);
          try {
            await waitFor(() => got.length >= count, { what: `${count} answers`, timeout: 5_000 });
          } finally {
            socket.close();
          }
          assert.deepEqual(got, sent);
        }
      });
    }

    it('keeps clients apart', async () => {
      const count = 300;
      const published = await stack().publish(`127.0.0.2:0:${ECHO}/udp`);
      // So many at once that the server's buffer takes them all, also where it gets no processor meanwhile.
      const atOnce = 100;
      for (let first = 0; first < count; first += atOnce) {
        const names = Array.from({ length: atOnce }, (_, i) => `client ${first + i}`);
        const answers = await Promise.all(names.map((name) => udpAsk('127.0.0.2', published.port, name)));
        assert.deepEqual(answers.map(String), names);
        // Later ones may have the ports of earlier ones again.
        if (observable && first === 0) assert.equal((await stack().counters(published.id)).opened, atOnce);
      }
    });

    it('keeps datagrams of mixed sizes whole and in order', async () => {
      const { port } = await stack().publish(`127.0.0.2:0:${ECHO}/udp`);
      const socket = createSocket('udp4');
      const got: string[] = [];
      socket.on('message', (data) => got.push(createHash('sha256').update(data).digest('hex')));
      await new Promise<void>((resolve) => socket.connect(port, '127.0.0.2', resolve));
      try {
        // Runs of equal sizes, which leave coalesced, with others in between; few enough for any buffer.
        const sizes = [
          ...Array<number>(20).fill(700),
          100,
          ...Array<number>(20).fill(1200),
          0,
          5000,
          1200,
          1300,
          1300,
          40,
        ];
        const sent: string[] = [];
        for (const size of sizes) {
          const data = randomBytes(size);
          sent.push(createHash('sha256').update(data).digest('hex'));
          socket.send(data);
        }
        await waitFor(() => got.length >= sizes.length, { what: `${sizes.length} answers` });
        assert.deepEqual(got, sent);
      } finally {
        socket.close();
      }
    });

    if (repliesFromAsked) {
      it('answers from the requested address', async () => {
        const { port } = await stack().publish(`0:${ECHO}/udp`);
        for (const host of [...all4, '127.200.1.3', ...all6]) {
          // The socket is connected: an answer from anywhere else would not arrive.
          assert.equal((await udpAsk(host, port, `through ${host}`)).toString(), `through ${host}`);
        }
        for (const host of host4) {
          // One client socket, two addresses of the host: two conversations.
          assert.equal((await udpAsk(host, port, 'far', host)).toString(), 'far');
          assert.equal((await udpAsk('127.0.0.1', port, 'near', '127.0.0.1')).toString(), 'near');
        }
      });
    }

    it('survives a flood in one direction without growing', async () => {
      const port = newPort();
      await using _server = await stack().program('udp-server', 'count', at, port);
      const published = await stack().publish(`127.0.0.2:0:${port}/udp`);
      const memory = () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${stack().started.pid}/status`, 'utf8'))?.[1]);
      await udpAsk('127.0.0.2', published.port, 'count');
      const before = memory();
      const socket = createSocket('udp4');
      await new Promise<void>((resolve) => socket.connect(published.port, '127.0.0.2', resolve));
      const datagram = Buffer.alloc(1200);
      for (let i = 0; i < 50; i++) {
        await Promise.all(Array.from({ length: 400 }, () => new Promise((resolve) => socket.send(datagram, resolve))));
      }
      socket.close();
      const count = Number((await udpAsk('127.0.0.2', published.port, 'count')).toString());
      assert.ok(count > 0 && count <= 20_000, `${count} of 20000 datagrams arrived`);
      const grown = memory() - before;
      assert.ok(grown < 32 * 1024, `rootless-run grew by ${grown} KiB`);
    });

    it('survives a flood from the server', async () => {
      const port = newPort();
      await using _server = await stack().program('udp-server', 'flood', at, port);
      const published = await stack().publish(`127.0.0.2:0:${port}/udp`);
      const echoes = await stack().publish(`127.0.0.2:0:${ECHO}/udp`);
      const socket = createSocket('udp4');
      let count = 0;
      let odd = 0;
      socket.on('message', (data) => {
        count++;
        if (data.length !== 100) odd++;
      });
      await new Promise<void>((resolve) => socket.connect(published.port, '127.0.0.2', resolve));
      socket.send('go');
      await waitFor(() => count > 0, { what: 'the flood' });
      assert.equal((await udpAsk('127.0.0.2', echoes.port, 'still there')).toString(), 'still there');
      socket.close();
      assert.equal(odd, 0);
    });

    it('counts what no server inside accepts, and works when the server starts', async () => {
      const port = newPort();
      const published = await stack().publish(`127.0.0.2:0:${port}/udp`);
      const socket = createSocket('udp4');
      socket.on('error', () => {});
      await new Promise<void>((resolve) => socket.connect(published.port, '127.0.0.2', resolve));
      socket.send('anybody?');
      if (observable) {
        await waitFor(async () => (await stack().counters(published.id)).refused === 1, { what: 'the refusal' });
      }
      await using _server = await stack().program('udp-server', 'name', at, port);
      // The same client keeps asking, as clients of UDP do.
      const answer = new Promise((resolve) => socket.once('message', (data) => resolve(data.toString())));
      const timer = setInterval(() => socket.send('anybody?'), 100);
      try {
        assert.equal(await answer, at);
      } finally {
        clearInterval(timer);
        socket.close();
      }
    });

    it('finds a server again that was restarted, on the same or another address', async () => {
      const port = newPort();
      const published = await stack().publish(`127.0.0.2:0:${port}/udp`);
      const socket = createSocket('udp4');
      socket.on('error', () => {});
      await new Promise<void>((resolve) => socket.connect(published.port, '127.0.0.2', resolve));
      const answered = async () => {
        let answers = 0;
        socket.removeAllListeners('message').on('message', () => answers++);
        const timer = setInterval(() => socket.send('?'), 50);
        try {
          await waitFor(() => answers > 0, { what: 'an answer' });
        } finally {
          clearInterval(timer);
        }
      };
      try {
        const first = await stack().program('udp-server', 'name', at, port);
        await answered();
        await first.stop();
        const second = await stack().program('udp-server', 'name', at, port);
        await answered();
        await second.stop();
        // The address that it was found on refuses now.
        await using _third = await stack().program('udp-server', 'name', '127.0.0.2', port);
        await answered();
      } finally {
        socket.close();
      }
    });
  });
};
