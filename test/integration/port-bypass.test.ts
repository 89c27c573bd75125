import { startBypassed } from './port-suite/below.js';
import { driverCapabilities, portDriverSuite } from './port-suite.js';

// With --allow-host-loopback UDP, too.
const portDriverArgs = ['--port-driver=bypass', '--allow-host-loopback'];
const capabilities = driverCapabilities.bypass;

portDriverSuite('port driver bypass', {
  netArgs: ['--net=none'],
  portDriverArgs,
  capabilities,
  start: startBypassed,
});
