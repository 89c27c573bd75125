import assert from 'node:assert/strict';
import { freePort, tcpOutcome, udpAsk, waitFor } from '../../../support/index.js';
import { pythonProgram } from '../../../support/paths.js';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  HOST_PROGRAMS,
  IDLE,
  kill,
  onNetworks,
  startContainer,
  startContainerStack,
} from '../../../support/stacks/containers.js';
import { seers } from '../../../support/traffic/peer-seers.js';

/** Opens these sockets, `TYPE ADDRESS PORT` each, passes them on as systemd does, and becomes the program after `--`. */
const ACTIVATE = pythonProgram('processes/activate');

describe('sockets that systemd has opened', () => {
  let stack: ContainerStack;
  let one: number;
  let two: number;
  before(async () => {
    [one, two] = [await freePort('127.0.0.2'), await freePort('0.0.0.0')];
    const sockets = [`tcp 127.0.0.2 ${one}`, `udp 127.0.0.2 ${one}`, `tcp :: ${two}`].flatMap((text) =>
      text.split(' '),
    );
    stack = await startContainerStack({ wrapper: ['python3', '-c', ACTIVATE, ...sockets, '--'] });
    await startContainer(stack, {
      name: 'outside',
      network: { mode: 'host' },
      command: seers(`46:${one}`, `46:${two}`),
      mounts: HOST_PROGRAMS,
    });
    await ready('outside');
  });
  after(() => stack?.[Symbol.asyncDispose]());

  const ready = (name: string) =>
    waitFor(
      () =>
        execIn(stack, name, 'cat', '/tmp/ready').then(
          () => true,
          () => false,
        ),
      { what: 'servers' },
    );
  const overTCP = async (host: string, port: number) => (await tcpOutcome(host, port)).data.toString();
  const overUDP = async (host: string, port: number) => (await udpAsk(host, port, 'who')).toString();
  const LOOPBACK = /^127\.0\.0\.\d /;
  const BRIDGE = /^10\.4\.0\.1 /;
  const ports = (hostIP: string, hostPort: number, ...protocols: ('tcp' | 'udp')[]) =>
    protocols.map((protocol) => ({ hostIP, hostPort, containerPort: 80, protocol }));
  const serving = (name: string, publish: ReturnType<typeof ports>) =>
    startContainer(stack, {
      name,
      network: onNetworks('bridge'),
      publish,
      command: seers('46:80'),
      mounts: HOST_PROGRAMS,
    });
  const leads = async (where: RegExp) => {
    assert.match(await overTCP('127.0.0.2', one), where);
    assert.match(await overUDP('127.0.0.2', one), where);
  };

  it('lead to the container that names their address and port, while it runs, and to the stack otherwise', async () => {
    await leads(LOOPBACK);
    const both = ports('127.0.0.2', one, 'tcp', 'udp');
    await serving('first', both);
    await ready('first');
    await leads(BRIDGE);
    const refused = await stack.net(
      ...['run', '-d', '--name', 'second', '-p', `127.0.0.2:${one}:80`],
      ...['--rootfs', busyboxRootfs(), '--', ...IDLE],
    );
    assert.match(refused.stderr, /the container first has published it; hint: stop that one, or choose another port/);
    assert.equal(refused.stderr.trimEnd().split('\n').length, 1, refused.stderr);
    await leads(BRIDGE);
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    await leads(BRIDGE);

    await stack.must('stop', 'first');
    await leads(LOOPBACK);
    await stack.must('start', 'first');
    await ready('first');
    await leads(BRIDGE);
    await stack.must('rm', '-f', 'first');
    await leads(LOOPBACK);
    await serving('next', both);
    await ready('next');
    await leads(BRIDGE);
    await stack.must('rm', '-f', 'next');
    const listed = await stack.api.listPorts();
    assert.deepEqual(
      listed.map(({ spec }) => `${spec.parentPort}/${spec.proto}`).sort(),
      [`${one}/tcp`, `${one}/udp`, `${two}/tcp`].sort(),
    );
  });

  it('have to be named exactly, and are released if a container cannot have all that it requests', async () => {
    const ask = (...publish: string[]) =>
      stack.net(
        ...['run', '-d', '--name', 'other', ...publish.flatMap((text) => ['-p', text])],
        ...['--rootfs', busyboxRootfs(), '--', ...IDLE],
      );
    const wrong = await ask(`127.0.0.2:${one}:80`, `0.0.0.0:${two}:80`);
    assert.match(
      wrong.stderr,
      new RegExp(
        `address already in use; .*; hint: systemd has opened ${two} on every address for the stack; publish just that\n$`,
      ),
    );
    await leads(LOOPBACK);
    await serving('every', ports('', two, 'tcp'));
    await ready('every');
    for (const host of ['127.0.0.1', '127.0.0.3', '::1']) assert.match(await overTCP(host, two), BRIDGE);
    await stack.must('rm', '-f', 'every');
    assert.match(await overTCP('127.0.0.1', two), LOOPBACK);
  });

  it('stay closed to the stack if the user has removed their port, and are available to containers nevertheless', async () => {
    const found = (await stack.api.listPorts()).find(({ spec }) => spec.parentPort === two);
    await stack.api.removePort(found?.id ?? assert.fail('no port'));
    await serving('late', ports('', two, 'tcp'));
    await ready('late');
    assert.match(await overTCP('127.0.0.1', two), BRIDGE);
    await stack.must('rm', '-f', 'late');
    assert.equal(
      (await stack.api.listPorts()).some(({ spec }) => spec.parentPort === two),
      false,
    );
  });
});
