import assert from 'node:assert/strict';
import { checkHostPorts, formatHostPort, HostPortError, parseHostPort } from '../../../../protocol/ports/host-port.js';

describe('a port of the host', () => {
  for (const [text, formatted] of [
    ['5432', '5432:127.0.0.1:5432/tcp'],
    ['5432:5433', '5432:127.0.0.1:5433/tcp'],
    ['5432:127.0.0.1:5432', '5432:127.0.0.1:5432/tcp'],
    ['53:127.0.0.53:53/udp', '53:127.0.0.53:53/udp'],
    ['53/UDP', '53:127.0.0.1:53/udp'],
    ['80:[::1]:8080', '80:[::1]:8080/tcp'],
    [' 80 : 10.0.0.1 : 8080 / tcp ', '80:10.0.0.1:8080/tcp'],
    ['80:[::ffff:10.0.0.1]:8080', '80:10.0.0.1:8080/tcp'],
    ['80::8080', '80:127.0.0.1:8080/tcp'],
  ] as const) {
    it(`can be written ${JSON.stringify(text)}`, () => {
      assert.equal(formatHostPort(parseHostPort(text)), formatted);
      assert.equal(formatHostPort(parseHostPort(formatted)), formatted);
    });
  }

  for (const [text, problem] of [
    ['', 'no port'],
    ['0', 'port 0 is not between 1 and 65535'],
    ['65536', 'port 65536 is not between 1 and 65535'],
    ['+80', 'port "+80" is not a number'],
    ['postgres', 'port "postgres" is not a number'],
    ['80:', 'no host port'],
    ['80:0', 'host port 0 is not between 1 and 65535'],
    ['80-90', 'ranges are not supported'],
    ['80:127.0.0.1', 'host port "127.0.0.1" is not a number'],
    ['80:localhost:80', 'host address "localhost" is not an IP address'],
    ['80:0.0.0.0:80', 'host address "0.0.0.0" is not the address of a service'],
    ['80:[::]:80', 'host address "::" is not the address of a service'],
    ['80:224.0.0.1:80', 'host address "224.0.0.1" is a multicast address; only unicast addresses can be used'],
    ['80:::1:80', 'too many colons, an IPv6 address needs brackets'],
    ['80:[::1]x:80', 'unexpected "["'],
    ['80/sctp', 'unknown protocol "sctp"'],
    ['80/', 'unknown protocol ""'],
  ] as const) {
    it(`cannot be ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseHostPort(text),
        (error: unknown) => {
          assert(error instanceof HostPortError);
          const start = `invalid --host-port ${JSON.stringify(text)}: ${problem}`;
          assert.equal(error.message.slice(0, start.length), start);
          return true;
        },
      );
    });
  }

  it('leads to one place only', () => {
    checkHostPorts(['53', '53/udp'].map(parseHostPort));
    assert.throws(() => checkHostPorts(['53', '53:54'].map(parseHostPort)), /53\/tcp is given twice/);
  });
});
