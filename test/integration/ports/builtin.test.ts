import { driverCapabilities, groups, portDriverSuite } from './suite.js';

const capabilities = driverCapabilities.builtin;
const portDriverArgs = ['--port-driver=builtin'];

portDriverSuite('port driver builtin, without a network', { netArgs: ['--net=none'], portDriverArgs, capabilities });

// What depends on the network: which addresses there are in the child.
for (const net of ['builtin', 'slirp4netns', 'pasta']) {
  portDriverSuite(
    `port driver builtin, with ${net}`,
    { netArgs: [`--net=${net}`], portDriverArgs, capabilities, childAddress: '10.0.2.100' },
    [groups.addresses, groups.servers, groups.pairs],
  );
}
portDriverSuite(
  'port driver builtin, with slirp4netns and IPv6',
  { netArgs: ['--net=slirp4netns', '--ipv6'], portDriverArgs, capabilities },
  [groups.connections, groups.datagrams],
);
portDriverSuite(
  'port driver builtin, on three threads',
  { netArgs: ['--net=none'], portDriverArgs: [...portDriverArgs, '--port-threads=3'], capabilities },
  [groups.protocols, groups.connections, groups.ends, groups.datagrams, groups.observation, groups.ports],
);
portDriverSuite(
  'port driver builtin, without the addresses of clients',
  { netArgs: ['--net=none'], portDriverArgs: [...portDriverArgs, '--source-ip-transparent=false'], capabilities },
  [groups.ends],
);
