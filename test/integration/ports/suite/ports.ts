import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { APIError } from '../../../../parent/client/errors.js';
import {
  binPath,
  echo,
  freePort,
  openConnection,
  outcomeOf,
  run,
  tcpOutcome,
  tcpRequest,
  tempDir,
  udpAsk,
} from '../../../support/index.js';
import {
  ECHO,
  freeRange,
  type Group,
  listenOnce,
  newPort,
  serverAddress,
  takePort,
  takesUdp,
  withStack,
} from './common.js';

export const ports: Group = (suite) => {
  const at = serverAddress(suite);
  const { closesConnections, loopbackDatagrams } = suite.capabilities;
  const args = [...suite.netArgs, ...suite.portDriverArgs];
  describe('adding and removing ports', () => {
    const stack = withStack(suite, async (running) => [
      await running.program('tcp-server', 'echo', at, ECHO),
      await running.program('udp-server', 'echo', at, ECHO),
    ]);

    it('rootlessctl adds a range, lists it and removes it', async () => {
      const first = await freeRange('127.0.0.2', 3);
      const added = await stack().ctl('add-ports', `127.0.0.2:${first}-${first + 2}:${ECHO - 1}-${ECHO + 1}`);
      assert.deepEqual([added.code, added.stderr], [0, '']);
      const ids = added.stdout.trim().split('\n');
      assert.equal(ids.length, 3);
      const listed = await stack().ctl('list-ports', '--json');
      assert.deepEqual(
        listed.stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
          .map(({ id, spec }) => ({ id, spec })),
        ids.map((id, i) => ({
          id: Number(id),
          spec: { proto: 'tcp', parentIP: '127.0.0.2', parentPort: first + i, childPort: ECHO - 1 + i },
        })),
      );
      assert.equal((await tcpRequest('127.0.0.2', first + 1, 'x')).toString(), 'x');
      const removed = await stack().ctl('remove-ports', ...ids);
      assert.deepEqual([removed.code, removed.stdout.trim().split('\n')], [0, ids]);
      for (let port = first; port < first + 3; port++) await listenOnce('127.0.0.2', port);
      assert.deepEqual(await stack().published(), []);
    });

    it('finds a free port for 0, and prints it', async () => {
      const added = await stack().ctl('add-ports', '--json', `127.0.0.2:0:${ECHO}`, `127.0.0.2:0:${ECHO}`);
      assert.equal(added.code, 0, added.stderr);
      const specs = added.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).spec);
      assert.equal(new Set(specs.map(({ parentPort }) => parentPort)).size, 2);
      for (const { parentPort } of specs) {
        assert.match(added.stderr, new RegExp(`\\b${parentPort}\\b`));
        assert.equal((await tcpRequest('127.0.0.2', parentPort, 'x')).toString(), 'x');
      }
    });

    if (closesConnections)
      it('closes connections with their port, which is free at once; others continue', async () => {
        const tcp = await stack().publish(`127.0.0.2:0:${ECHO}`);
        const other = await stack().publish(`127.0.0.3:0:${ECHO}`);
        const sockets = await Promise.all(Array.from({ length: 20 }, () => openConnection('127.0.0.2', tcp.port)));
        for (const socket of sockets) await echo(socket, 'here');
        const ended = sockets.map(outcomeOf);
        const survivor = await openConnection('127.0.0.3', other.port);
        await echo(survivor, 'here');

        const { code, stderr } = await stack().ctl('remove-ports', String(tcp.id));
        assert.equal(code, 0, stderr);
        await listenOnce('127.0.0.2', tcp.port);
        for (const outcome of await Promise.all(ended)) assert.ok(outcome.ended || outcome.error === 'ECONNRESET');
        assert.equal(await echo(survivor, 'still here'), 'still here');
        survivor.destroy();
        // And for us, too.
        const again = await stack().publish(`127.0.0.2:${tcp.port}:${ECHO}`);
        assert.equal((await tcpRequest('127.0.0.2', again.port, 'x')).toString(), 'x');
        assert.notEqual(again.id, tcp.id);
      });

    if (closesConnections && loopbackDatagrams)
      it('frees a UDP port in use, and binds it again', async () => {
        const first = await stack().publish(`127.0.0.2:0:${ECHO}/udp`);
        await udpAsk('127.0.0.2', first.port, 'x');
        await stack().api.removePort(first.id);
        assert.equal(await takesUdp('127.0.0.2', first.port), false);
        await stack().publish(`127.0.0.2:${first.port}:${ECHO}/udp`);
        assert.equal((await udpAsk('127.0.0.2', first.port, 'y')).toString(), 'y');
      });

    if (closesConnections)
      it('closes connections to nowhere and those that wait with their port', async () => {
        const published = await stack().publish(`127.0.0.2:0:${newPort()}`);
        const outcomes = Array.from({ length: 50 }, () => tcpOutcome('127.0.0.2', published.port));
        await stack().api.removePort(published.id);
        for (const { error } of await Promise.all(outcomes)) assert.match(error ?? '', /^ECONNRE(SET|FUSED)$/);
        await listenOnce('127.0.0.2', published.port);
      });

    it('is quick to repeat', async () => {
      const port = await freePort('127.0.0.2');
      for (let i = 0; i < 50; i++) {
        const { id } = await stack().publish(`127.0.0.2:${port}:${ECHO}`);
        const socket = await openConnection('127.0.0.2', port);
        socket.on('error', () => {});
        await stack().api.removePort(id);
        socket.destroy();
      }
    });

    it('refuses a port that is published already, by its id', async () => {
      const { id, port } = await stack().publish(`127.0.0.2:0:${ECHO}`);
      await assert.rejects(stack().publish(`127.0.0.2:${port}:80`), (error: Error) => {
        assert.ok(error instanceof APIError);
        assert.match(error.message, new RegExp(`conflict with ID ${id}`));
        return true;
      });
      const { code, stderr } = await stack().ctl('add-ports', `127.0.0.2:${port}:80`);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`^error: .*conflict with ID ${id}.*\n$`));
      assert.equal((await stack().published()).length, 1);
    });

    it('refuses a port that another program has, and an address that is not of this host', async () => {
      for (const proto of ['tcp', 'udp'] as const) {
        await using taken = await takePort('127.0.0.2', proto);
        await assert.rejects(
          stack().publish(`127.0.0.2:${taken.port}:${ECHO}/${proto}`),
          new RegExp(`127\\.0\\.0\\.2:${taken.port}.*address already in use`),
        );
      }
      await assert.rejects(stack().publish(`192.0.2.55:0:${ECHO}`), /192\.0\.2\.55.*cannot assign requested address/);
      assert.deepEqual(await stack().published(), []);
    });

    it('refuses a privileged port, with a hint', async function () {
      const first = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
      if (first <= 80) this.skip();
      await assert.rejects(stack().publish(`127.0.0.2:80:${ECHO}`), (error: Error) => {
        assert.match(
          error.message,
          /cannot expose privileged port 80, you can add 'net\.ipv4\.ip_unprivileged_port_start=80'/,
        );
        assert.match(error.message, new RegExp(`choose a larger port number \\(>= ${first}\\)`));
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    });

    it('refuses an unknown id', async () => {
      await assert.rejects(stack().api.removePort(987_654), /unknown id: 987654/);
    });
  });

  describe('ports at the start', () => {
    const attempt = (publish: string[], command: string[]) => {
      const stateDir = join(tempDir(), 'state');
      const words = [...args, `--state-dir=${stateDir}`, ...publish.flatMap((spec) => ['-p', spec]), '--', ...command];
      return run(binPath('rootless-run'), words).then((result) => ({ ...result, stateDir }));
    };

    it('listen before the command runs', async () => {
      const port = await freePort('127.0.0.2');
      const { code, stdout, stderr } = await attempt(
        [`127.0.0.2:${port}:80`, `127.0.0.3:${port}:53/udp`],
        ['sh', '-c', `${binPath('rootlessctl')} list-ports; cat $ROOTLESSKIT_STATE_DIR/child_pid`],
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^1 +tcp +127\\.0\\.0\\.2 +${port} +80\\b`, 'm'));
      assert.match(stdout, new RegExp(`^2 +udp +127\\.0\\.0\\.3 +${port} +53\\b`, 'm'));
      assert.match(stdout, /^\d+$/m);
      await listenOnce('127.0.0.2', port);
    });

    it('start nothing and leave nothing where one of them is in use', async () => {
      await using taken = await takePort('127.0.0.2', 'tcp');
      const free = await freePort('127.0.0.3');
      const witness = join(tempDir(), 'ran');
      const { code, stderr, stateDir } = await attempt(
        [`127.0.0.3:${free}:80`, `127.0.0.2:${taken.port}:81`, `127.0.0.4:${free}:82`],
        ['touch', witness],
      );
      assert.equal(code, 125);
      assert.match(
        stderr,
        new RegExp(`^rootless-run: error: .*127\\.0\\.0\\.2:${taken.port}.*address already in use.*\n$`),
      );
      assert.equal(existsSync(witness), false, 'the command was started');
      assert.equal(existsSync(stateDir), false, 'the state directory is left');
      await listenOnce('127.0.0.3', free);
      await listenOnce('127.0.0.4', free);
    });

    it('start nothing where one of them is there twice', async () => {
      const free = await freePort('127.0.0.3');
      const { code, stderr } = await attempt([`127.0.0.3:${free}:80`, `127.0.0.3:${free}:81`], ['true']);
      assert.equal(code, 125);
      assert.match(stderr, /is published twice/);
      await listenOnce('127.0.0.3', free);
    });

    it('are printed where 0 was requested', async () => {
      const { code, stdout, stderr } = await attempt(
        ['127.0.0.2:0:80'],
        ['sh', '-c', `${binPath('rootlessctl')} list-ports --json`],
      );
      assert.equal(code, 0, stderr);
      const { parentPort } = JSON.parse(stdout).spec;
      assert.ok(parentPort > 0);
      assert.match(stderr, new RegExp(`127\\.0\\.0\\.2:${parentPort}\\b`));
    });
  });
};
