import assert from 'node:assert/strict';
import { run, tcpRequest, waitFor } from '../../../support/index.js';
import { busyboxRootfs } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

/** A web server at 80 that listens on that address, and ends at once on SIGTERM. */
const web = (ip: string) => ['sh', '-c', `trap "exit 0" TERM; httpd -f -p ${ip}:80 -h /www & wait $!`];

describe('containers with -p auto', () => {
  const stack = withContainerStack();

  /** What is published of a container's port 80, as `IP:PORT`, by its address. */
  const published = async () =>
    (await stack.api.listPorts())
      .filter(({ auto }) => auto)
      .map(({ spec }) => ({
        host: `${spec.parentIP}:${spec.parentPort}`,
        inside: `${spec.childIP}:${spec.childPort}`,
      }));
  const get = async (host: string) => {
    const [ip = '', port = ''] = host.split(':');
    return (await tcpRequest(ip, Number(port), 'GET / HTTP/1.0\r\n\r\n')).toString();
  };
  const serve = (name: string, ip: string) =>
    stack.must('run', '-d', '--rm', '--name', name, '-p', 'auto', '--rootfs', busyboxRootfs(), '--', ...web(ip));

  it('have each an address of its own, where servers are reached on every address and on loopback', async () => {
    await serve('one', '0.0.0.0');
    await serve('two', '127.0.0.1');
    const ports = await waitFor(async () => ((await published()).length === 2 ? published() : undefined), {
      what: 'two ports',
    });
    assert.notEqual(ports[0]?.host.split(':')[0], ports[1]?.host.split(':')[0]);
    for (const { host } of ports) assert.match(await get(host), /hello/);
    const [before] = ports.filter(({ inside }) => inside !== '127.0.0.1:80');

    // Listed as those that are asked for.
    const shown = await stack.must('ps', '--format', '{{.Ports}}');
    for (const { host } of ports) assert.ok(shown.includes(`${host}->80/tcp`), shown);
    assert.match(await stack.must('port', 'one'), /^80\/tcp -> 127\.\d+\.\d+\.\d+:\d+$/);

    // Another agent finds them as they are.
    const [agent] = stack.agents();
    await run('kill', ['-KILL', `${agent}`]);
    await stack.settled();
    for (const { host } of ports) assert.match(await get(host), /hello/);

    await stack.must('kill', 'one');
    await waitFor(async () => (await published()).length === 1, { what: 'the end of a port' });
    await serve('one', '0.0.0.0');
    const again = await waitFor(async () => ((await published()).length === 2 ? published() : undefined), {
      what: 'two ports',
    });
    assert.ok(
      again.some(({ host }) => host === before?.host),
      JSON.stringify({ again, before }),
    );
  });

  it('are refused without a network of their own', async () => {
    const rootfs = busyboxRootfs();
    const { code, stderr } = await stack.net('create', '--net=host', '-p', 'auto', '--rootfs', rootfs, '--', 'true');
    assert.equal(code, 125);
    assert.match(stderr, /-p auto cannot be combined with --network=host/);
    assert.match(
      (await stack.net('create', '-p', 'auto:x', '--rootfs', rootfs, '--', 'true')).stderr,
      /port "x" is not a number/,
    );
  });
});
