import assert from 'node:assert/strict';
import type { StackEvent } from '../../../protocol/api/types.js';
import { binPath, start, waitFor } from '../../support/index.js';
import { readExposition } from '../../support/observation/exposition.js';
import { busyboxRootfs, execIn, IDLE, onNetworks, startContainer, WEB } from '../../support/stacks/containers.js';
import { withContainerStack } from '../../support/stacks/with-stack.js';

describe('containers that are looked at', function () {
  this.timeout(60_000);
  const stack = withContainerStack();

  it('have events from creation to removal', async () => {
    const format = '--format={{.Type}} {{.Action}} {{index .Actor.Attributes "name"}}';
    await using events = await start(binPath('rootlessctl'), [`--socket=${stack.api.socketPath}`, 'events', '--json'], {
      ready: { output: /driver-state/ },
    });
    await using docker = await start(binPath('rootless-net'), [...'events'.split(' '), format], {
      env: stack.env,
      ready: { check: () => true },
    });
    const network = await stack.containers.createNetwork({ name: 'quiet' });
    const request = { name: 'one', rootfs: busyboxRootfs(), command: ['sh', '-c', 'exit 3'] };
    const { id } = await stack.containers.create({ ...request, network: onNetworks('quiet') });
    await stack.containers.start(id);
    await stack.containers.wait(id);
    await stack.containers.remove(id);
    // Whoever has subscribed by now gets the last ones.
    await waitFor(
      async () => {
        await stack.containers.removeNetwork('quiet').catch(() => {});
        await stack.containers.createNetwork({ name: 'quiet' });
        return /network destroy quiet/.test(docker.output());
      },
      { what: `the end of the network, after ${docker.output()}` },
    );
    await stack.containers.removeNetwork('quiet');
    const seen = events
      .output()
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as StackEvent] : []))
      .flatMap(({ time: _, ...event }) => (/^(container|network)-/.test(event.type) ? [event] : []));
    assert.deepEqual(seen.slice(0, 7), [
      { type: 'network-created', network: 'quiet', id: network.id },
      { type: 'container-created', container: 'one', id },
      { type: 'network-connected', network: 'quiet', container: 'one', id },
      { type: 'container-started', container: 'one', id },
      { type: 'network-disconnected', network: 'quiet', container: 'one', id },
      { type: 'container-exited', container: 'one', id, exitCode: 3 },
      { type: 'container-removed', container: 'one', id },
    ]);
  });

  it('have counters and processes, and their ports a trace', async () => {
    const publish = [{ hostIP: '127.0.0.1', hostPort: 0, containerPort: 80, protocol: 'tcp' as const, count: 1 }];
    const { id, ports } = await startContainer(stack, { name: 'web', command: WEB, publish });
    await startContainer(stack, { name: 'client', command: IDLE });
    await waitFor(() => execIn(stack, 'client', 'wget', '-qO-', 'http://web/'), { what: 'the server' });
    const usage = await stack.containers.usage();
    const web = usage.find(({ name }) => name === 'web') ?? assert.fail('it is not listed');
    assert.ok((web.received ?? 0) > 0 && (web.sent ?? 0) > 0, 'bytes of its network');
    const processes = await stack.containers.processes('web');
    assert.ok(processes.some(({ command }) => /^httpd -f -p 80/.test(command)));
    assert.match(await stack.must('top', 'web'), /^UID +PID +PPID +STARTED +TIME +COMMAND\n(.*\n)*.*httpd -f -p 80/);
    assert.match(
      await stack.must('stats', '--no-stream', '--format', '{{.Name}} {{.NetIO}}', 'web'),
      /^web \S+ \/ \S+B$/,
    );

    const address = `127.0.0.1:${ports[0]?.hostPort}`;
    const trace = await stack.api.trace(address);
    assert.deepEqual([trace.answers, trace.container], [true, 'web']);
    await stack.containers.stop('client');
    const metrics = readExposition(String(await text(stack.api.socketPath)));
    const bytes = metrics.get('rootless_net_container_bytes_total')?.samples ?? [];
    assert.deepEqual(
      bytes.map(({ labels }) => labels),
      [
        { container: 'web', direction: 'in' },
        { container: 'web', direction: 'out' },
      ],
    );
    const [port] = metrics.get('rootless_net_port_up')?.samples ?? [];
    assert.deepEqual(port, { labels: { port: `${address}/tcp`, container: 'web' }, value: 1 });
    const [listed] = await stack.api.listPorts({ counters: true });
    assert.equal(listed?.container, id);
  });

  it('are refused where there is none of that name', async () => {
    for (const line of ['top nobody', 'stats --no-stream nobody']) {
      const { code, stderr } = await stack.net(...line.split(' '));
      assert.deepEqual([code, stderr], [1, 'error: no such container: nobody\n']);
    }
    assert.match(
      (await stack.net('events', '--filter', 'type=image')).stderr,
      /^error: invalid --filter .* expected one of/,
    );
  });
});

/** The metrics on the API's socket. */
async function text(socketPath: string): Promise<string> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: '/metrics' }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    });
    sent.once('error', reject).end();
  });
}
