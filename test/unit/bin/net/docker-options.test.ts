import assert from 'node:assert/strict';
import { Command } from 'commander';
import { type CreateOptions, toRequest, withCreateOptions } from '../../../../bin/net/options/create-options.js';
import { parseNetworkOptions } from '../../../../bin/net/options/network-driver-options.js';
import { parseConnection, parseNetworks } from '../../../../bin/net/options/network-option.js';
import { PortMappingError, parsePublish } from '../../../../protocol/ports/grammar.js';

const usage = (message: string) => ({ name: 'UsageError', message });

describe("options in docker's form", () => {
  for (const [text, expected] of [
    ['back', { network: 'back' }],
    ['default', { network: 'bridge' }],
    ['name=back', { network: 'back' }],
    ['name=back,alias=a,alias=b', { network: 'back', aliases: ['a', 'b'] }],
    ['alias=a,name=back,ip=10.4.1.9', { network: 'back', aliases: ['a'], ip: '10.4.1.9' }],
    [
      'name=back,ip6=fd00::9,mac-address=02:00:00:00:00:09',
      { network: 'back', ip6: 'fd00::9', mac: '02:00:00:00:00:09' },
    ],
    ['NAME=back,GW-PRIORITY=-3', { network: 'back', gatewayPriority: -3 }],
    ['name=back,driver-opt=com.docker.network.endpoint.ifname=net0', { network: 'back', interface: 'net0' }],
    [
      'back:ip=10.4.1.9,mac=02:00:00:00:00:09,alias=a',
      { network: 'back', ip: '10.4.1.9', mac: '02:00:00:00:00:09', aliases: ['a'] },
    ],
    [
      'back:ip=10.4.1.9,ip=fd00::9,interface_name=net0',
      { network: 'back', ip: '10.4.1.9', ip6: 'fd00::9', interface: 'net0' },
    ],
  ] as const) {
    it(`--network ${text}`, () => {
      assert.deepEqual(parseNetworks([text], {}), { mode: 'networks', networks: [expected] });
    });
  }

  for (const [text, expected] of [
    ['host', { mode: 'host' }],
    ['name=none', { mode: 'none' }],
    ['container:web', { mode: 'container', container: 'web' }],
    ['ns:/run/netns/x=y,z', { mode: 'ns', path: '/run/netns/x=y,z' }],
  ] as const) {
    it(`--network ${text}`, () => {
      assert.deepEqual(parseNetworks([text], {}), expected);
    });
  }

  it('options beside --network are for the first one, which may override them', () => {
    assert.deepEqual(parseNetworks(['a:ip=10.0.0.2', 'b'], { ip: '10.0.0.9', ip6: 'fd00::9', networkAlias: ['x'] }), {
      mode: 'networks',
      networks: [{ network: 'a', ip: '10.0.0.2', ip6: 'fd00::9', aliases: ['x'] }, { network: 'b' }],
    });
    assert.deepEqual(parseNetworks([], { ip: '10.0.0.9' }), {
      mode: 'networks',
      networks: [{ network: 'bridge', ip: '10.0.0.9' }],
    });
  });

  const keys = 'alias, driver-opt, gw-priority, interface_name, ip, ip6, mac, mac-address';
  for (const [text, problem] of [
    ['name=back,foo=1', `unknown key "foo"; known are name, ${keys}`],
    ['back:foo=1', `unknown key "foo"; known are ${keys}`],
    ['name=back,link-local-ip=169.254.1.1', `unknown key "link-local-ip"; known are name, ${keys}`],
    ['alias=a', 'missing name of the network (name=…)'],
    ['name=a,name=b', 'name is given twice'],
    ['name=', 'missing name of the network'],
    [':ip=10.0.0.1', 'missing name of the network'],
    ['name=back,ip=10.0.0.1,ip=10.0.0.2', 'ip is given twice'],
    ['name=back,ip', 'expected KEY=VALUE, not "ip"'],
    ['back:', 'expected KEY=VALUE, not ""'],
    ['back:ip=', 'ip has no value'],
    ['name=back,gw-priority=high', 'expected a number for gw-priority, not "high"'],
    ['name=back,driver-opt=x=1', 'unknown driver-opt "x"; known is com.docker.network.endpoint.ifname=NAME'],
  ] as const) {
    it(`--network ${text} is refused`, () => {
      assert.throws(() => parseNetworks([text], {}), usage(`invalid --network ${JSON.stringify(text)}: ${problem}`));
    });
  }

  it('--network=host excludes other networks and their options', () => {
    const refused = (texts: string[], options: object, message: string) =>
      assert.throws(() => parseNetworks(texts, options), usage(message));
    refused(['host', 'back'], {}, '--network=host and other networks are mutually exclusive');
    refused(['none'], { ip: '10.0.0.1' }, '--ip and --network=none are mutually exclusive');
    refused(
      ['name=host,alias=a'],
      {},
      'invalid --network "name=host,alias=a": host has no addresses, names or other options',
    );
  });

  it('network connect', () => {
    assert.deepEqual(
      parseConnection('back', {
        ip: '10.0.0.1',
        gwPriority: '5',
        driverOpt: ['com.docker.network.endpoint.ifname=net0'],
      }),
      { ip: '10.0.0.1', ip6: undefined, mac: undefined, aliases: undefined, gatewayPriority: 5, interface: 'net0' },
    );
    assert.throws(
      () => parseConnection('back', { gwPriority: 'x' }),
      usage('invalid --gw-priority "x": expected a number for gw-priority, not "x"'),
    );
  });

  for (const [text, expected] of [
    ['target=80', '80'],
    ['published=8080,target=80', '8080:80'],
    ['published=8080,target=80,protocol=udp,mode=host', '8080:80/udp'],
    ['target=80-82,published=8080-8082,mode=ingress', '8080-8082:80-82'],
    ['host_ip=127.0.0.2,published=8080,target=80', '127.0.0.2:8080:80'],
    ['host_ip=::1,target=80', '[::1]::80'],
    ['host_ip=[::1],target=80', '[::1]::80'],
  ] as const) {
    it(`-p ${text}`, () => {
      assert.deepEqual(parsePublish(text), parsePublish(expected));
    });
  }

  for (const [text, problem] of [
    ['published=8080', 'the port of the container is missing (target=…)'],
    ['target=80,name=web', 'unknown key "name", there are target, published, protocol, mode, host_ip'],
    ['target=80,target=81', 'target is given twice'],
    ['target=80,published', 'expected KEY=VALUE, not "published"'],
    ['target=,published=80', 'target has no value'],
    ['target=80,mode=vip', 'invalid mode "vip"'],
    ['target=80,protocol=sctp', 'sctp is not supported, ports are forwarded for tcp and udp only'],
    ['target=http', 'container port "http" is not a number'],
  ] as const) {
    it(`-p ${text} is refused`, () => {
      assert.throws(
        () => parsePublish(text),
        (error: unknown) => error instanceof PortMappingError && error.text === text && error.problem === problem,
      );
    });
  }

  it('--add-host', () => {
    const hosts = (...texts: string[]) => {
      const command = withCreateOptions(new Command());
      const words = texts.flatMap((text) => ['--add-host', text]);
      command.parse([...words, '--rootfs', '/', 'true'], { from: 'user' });
      return toRequest(['true'], command.opts<CreateOptions>()).addHosts;
    };
    assert.deepEqual(
      hosts('a:1.2.3.4', 'b=1.2.3.4', 'c=[fd00::1]', 'd:[fd00::1]', 'e:fd00::1', 'f=fd00::1', 'g:host-gateway'),
      [
        { host: 'a', ip: '1.2.3.4' },
        { host: 'b', ip: '1.2.3.4' },
        { host: 'c', ip: 'fd00::1' },
        { host: 'd', ip: 'fd00::1' },
        { host: 'e', ip: 'fd00::1' },
        { host: 'f', ip: 'fd00::1' },
        { host: 'g', ip: 'host-gateway' },
      ],
    );
    assert.throws(() => hosts('a=b'), usage('invalid --add-host "a=b": "b" is not an IP address or host-gateway'));
    for (const text of ['a', ':1.2.3.4', '=1.2.3.4', 'a:', 'a=']) {
      assert.throws(
        () => hosts(text),
        usage(`invalid --add-host ${JSON.stringify(text)}: expected HOST:ADDRESS or HOST=ADDRESS`),
      );
    }
  });

  it('network create -o', () => {
    assert.deepEqual(
      parseNetworkOptions([
        'com.docker.network.driver.mtu=1400',
        'com.docker.network.bridge.enable_icc=false',
        'parent=eth0',
        'macvlan_mode=private',
        'com.docker.network.bridge.enable_ip_masquerade=true',
      ]),
      { options: { mtu: '1400', parent: 'eth0', mode: 'private' }, icc: false },
    );
    for (const [text, problem] of [
      [
        'com.docker.network.bridge.name=br0',
        "bridges are devices in the stack's network namespace, which assigns their names; hint: leave it out",
      ],
      ['com.docker.network.bridge.enable_icc=maybe', 'expected true or false'],
      [
        'com.docker.network.bridge.enable_ip_masquerade=false',
        'it is always true; hint: --internal for no access to the outside',
      ],
    ] as const) {
      assert.throws(() => parseNetworkOptions([text]), usage(`invalid -o ${JSON.stringify(text)}: ${problem}`));
    }
    assert.throws(() => parseNetworkOptions(['mtu=1', 'com.docker.network.driver.mtu=2']), /mtu is given twice$/);
  });
});
