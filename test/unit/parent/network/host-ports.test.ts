import assert from 'node:assert/strict';
import { LauncherRequestError } from '../../../../parent/namespaces/launcher.js';
import type { ChildNamespaces, NetworkOptions } from '../../../../parent/network/driver.js';
import { type NetworkName, needsOfBuiltin, setupNetwork } from '../../../../parent/network/index.js';
import { parseHostPort } from '../../../../protocol/ports/host-port.js';

const options: NetworkOptions = {
  mtu: 0,
  cidr: '10.0.2.0/24',
  hostLoopback: false,
  hostPorts: [parseHostPort('5432')],
  ipv6: false,
  slirp4netns: { binary: 'slirp4netns', sandbox: 'auto', seccomp: 'auto' },
  pasta: { binary: 'pasta' },
  lxcUserNic: { bridge: 'lxcbr0' },
};

/** Sets up a network where there can be no gateway. */
function setUp(name: NetworkName): Promise<unknown> {
  const openGateway = async () => {
    throw new LauncherRequestError('ENOTSUP', 'make a veth pair');
  };
  return setupNetwork({
    name,
    child: { openGateway, warn: () => {} } as unknown as ChildNamespaces,
    options,
    needs: needsOfBuiltin({ network: options }),
    demands: { implicitPorts: false },
    log: { info: () => {}, warn: () => {} },
  });
}

describe('ports of the host', () => {
  it('are refused with a network that has none', async () => {
    for (const name of ['pasta', 'none'] as const) {
      await assert.rejects(setUp(name), {
        name: 'NetworkError',
        message: `the network driver ${name} has no --host-port; hint: --net=builtin`,
      });
    }
  });

  it('have no other network selected instead', async () => {
    await assert.rejects(setUp('auto'), {
      name: 'NetworkError',
      message: /^--host-port not available: --net=builtin cannot be used: the kernel has no veth devices/,
    });
  });
});

describe('options that only the network driver builtin has', () => {
  it('are named', () => {
    const hostPorts = [parseHostPort('5432')];
    assert.deepEqual(needsOfBuiltin({ network: {} }), []);
    assert.deepEqual(needsOfBuiltin({ network: { hostPorts } }), ['--host-port']);
    assert.deepEqual(needsOfBuiltin({ network: { hostPorts }, egress: [] }), ['--host-port', '--allow and --deny']);
  });
});
