import { startBypassed } from '../suite/below.js';
import { driverCapabilities, groups, portDriverSuite } from '../suite.js';

// With --allow-host-loopback UDP, too.
const portDriverArgs = ['--port-driver=bypass', '--allow-host-loopback'];
const capabilities = driverCapabilities.bypass;

portDriverSuite('port driver bypass', { netArgs: ['--net=none'], portDriverArgs, capabilities, start: startBypassed }, [
  groups.addresses,
  groups.protocols,
  groups.servers,
  groups.connections,
  groups.ends,
  groups.datagrams,
]);

portDriverSuite(
  'port driver bypass, with servers that are not below the command',
  { netArgs: ['--net=none'], portDriverArgs, capabilities },
  [groups.ports],
);
