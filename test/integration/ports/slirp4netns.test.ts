import assert from 'node:assert/strict';
import { hostAddresses, startStack, tcpRequest, udpAsk } from '../../support/index.js';
import { driverCapabilities, portDriverSuite } from './suite.js';

const args = ['--net=slirp4netns', '--port-driver=slirp4netns'];

portDriverSuite('port driver slirp4netns', {
  netArgs: args.slice(0, 1),
  portDriverArgs: args.slice(1),
  capabilities: driverCapabilities.slirp4netns,
  childAddress: '10.0.2.100',
});

describe('port driver slirp4netns, UDP', () => {
  it('is forwarded for an address of the host that is not loopback', async function () {
    const { v4 } = hostAddresses;
    if (!v4) this.skip();
    await using stack = await startStack({ args });
    await using _server = await stack.program('udp-server', 'echo', '0.0.0.0', 7002);
    const { port, id } = await stack.publish(`${v4}:0:7002/udp`);
    for (const text of ['one', 'x'.repeat(1400)]) assert.equal((await udpAsk(v4, port, text)).toString(), text);
    await stack.api.removePort(id);
    const again = await stack.publish(`${v4}:${port}:7002/udp`);
    assert.notEqual(again.id, id);
    assert.equal((await udpAsk(v4, port, 'again')).toString(), 'again');
  });
});

describe('port driver slirp4netns, what it cannot do', () => {
  it('is refused with what to do, and changes nothing', async () => {
    await using stack = await startStack({ args });
    await assert.rejects(stack.publish('[::1]:0:80/tcp6'), /unsupported port protocol tcp6.*IPv4.*builtin/);
    await assert.rejects(stack.publish('[::1]:0:80'), /cannot listen on the IPv6 address ::1.*builtin/);
    await assert.rejects(stack.publish('127.0.0.2:0:[fd00::1]:80'), /cannot connect to the IPv6 address fd00::1/);
    await assert.rejects(stack.publish('127.0.0.2:0:127.0.0.1:80'), /cannot connect to the child's loopback address/);
    assert.deepEqual(await stack.published(), []);
    const { portDriver } = await stack.api.info();
    assert.deepEqual(portDriver, {
      driver: 'slirp4netns',
      protos: ['tcp', 'tcp4', 'udp', 'udp4'],
      disallowLoopbackChildIP: true,
    });
  });

  it('ends in a line where slirp4netns is gone', async () => {
    await using stack = await startStack({ args });
    const [slirp] = stack.below('tap0');
    assert(slirp);
    process.kill(slirp.pid, 'SIGKILL');
    await assert.rejects(stack.publish('127.0.0.2:0:80'), /slirp4netns add_hostfwd .*: no answer on its API socket/);
    assert.deepEqual(await stack.published(), []);
  });

  it('does not show the address that it puts in for none', async () => {
    await using stack = await startStack({ args });
    await using _server = await stack.program('tcp-server', 'echo', '10.0.2.100', 7002);
    const { port } = await stack.publish('127.0.0.2:0:7002');
    const [{ spec } = { spec: undefined }] = await stack.api.listPorts();
    assert.deepEqual(spec, { proto: 'tcp', parentIP: '127.0.0.2', parentPort: port, childPort: 7002 });
    assert.equal((await tcpRequest('127.0.0.2', port, 'over the device')).toString(), 'over the device');
  });
});
