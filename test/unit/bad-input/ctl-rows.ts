// Command lines of rootlessctl that cannot be carried out, each with its exit code and its line. 127.0.0.1:8080 is published.
import type { Row } from './row.js';

const SPEC =
  '; expected [parentIP:]parentPort:[childIP:]childPort[/proto][+proxy1|+proxy2], such as 127.0.0.1:8080:80/tcp';

export const CTL_ROWS: readonly Row[] = [
  ['rootlessctl list-prts', 3, "unknown command 'list-prts' (Did you mean list-ports?)"],
  ['rootlessctl --foo list-ports', 1, "unknown option '--foo'"],
  ['rootlessctl list-ports --foo', 1, "unknown option '--foo'"],
  ['rootlessctl list-ports --json=maybe', 1, 'invalid --json "maybe": expected true or false'],
  ['rootlessctl add-ports', 1, 'no port specified'],
  ["rootlessctl add-ports ''", 1, `invalid port "": it is empty${SPEC}`],
  ['rootlessctl add-ports 8080', 1, `invalid port "8080": no child port${SPEC}`],
  [
    'rootlessctl add-ports 8080:80/icmp',
    1,
    'invalid port "8080:80/icmp": unknown proto "icmp"; expected one of tcp, tcp4, tcp6, udp, udp4, udp6',
  ],
  ['rootlessctl add-ports 8080:80/sctp', 1, 'unsupported port protocol sctp'],
  [
    'rootlessctl add-ports localhost:8080:80',
    1,
    'invalid port "localhost:8080:80": parent IP "localhost" is not an IP address',
  ],
  [
    'rootlessctl add-ports 127.0.0.1:8080:80',
    1,
    'conflict with ID 1; hint: 127.0.0.1:8080/tcp is published already; rootlessctl remove-ports 1 removes it',
  ],
  [
    'rootlessctl add-ports 127.0.0.1:8080:81/tcp',
    1,
    'conflict with ID 1; hint: 127.0.0.1:8080/tcp is published already; rootlessctl remove-ports 1 removes it',
  ],
  ['rootlessctl add-ports 80:80', 1, 'cannot expose privileged port 80'],
  ['rootlessctl add-ports 65536:80', 1, `invalid port "65536:80": parent port 65536 is larger than 65535${SPEC}`],
  [
    'rootlessctl add-ports 8000-8001:80',
    1,
    `invalid port "8000-8001:80": ranges of different length, 2 parent ports for 1 child port${SPEC}`,
  ],
  [
    'rootlessctl add-ports --persist 9090:90',
    1,
    'this stack does not keep ports; start one that does with: rootless-run serve',
  ],
  ['rootlessctl add-ports --foo 9090:90', 1, "unknown option '--foo'"],
  ['rootlessctl remove-ports', 1, 'no ID specified'],
  [
    'rootlessctl remove-ports x',
    1,
    'invalid ID "x": expected a number, as listed by list-ports, or a range, such as 1-1000',
  ],
  [
    "rootlessctl remove-ports ''",
    1,
    'invalid ID "": expected a number, as listed by list-ports, or a range, such as 1-1000',
  ],
  ['rootlessctl remove-ports 7', 1, 'unknown id: 7'],
  [
    'rootlessctl remove-ports 99999999999999999999',
    1,
    'invalid ID "99999999999999999999": expected a number, as listed by list-ports, or a range, such as 1-1000',
  ],
  ['rootlessctl info --jsn', 1, "unknown option '--jsn' (Did you mean --json?)"],
  ['rootlessctl events --foo', 1, "unknown option '--foo'"],
];
