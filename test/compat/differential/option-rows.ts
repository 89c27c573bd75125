/** Every option of RootlessKit 1.1 with an empty value, numbers as Go takes them, repeated and odd values. */
import type { CommandRow } from './table.js';

const NET = ['--net=slirp4netns', '--disable-host-loopback', '--copy-up=/etc'];
const DEVICE = 'ip -4 -o addr show dev tap0 | cut -d" " -f2-7; cat /sys/class/net/tap0/mtu; ip route';

/** Options with a text for a value, that the host's network goes with. */
const TEXTS = [
  ...[
    'state-dir',
    'net',
    'port-driver',
    'vpnkit-binary',
    'lxc-user-nic-binary',
    'lxc-user-nic-bridge',
    'cidr',
    'ifname',
  ],
  ...['slirp4netns-binary', 'slirp4netns-sandbox', 'slirp4netns-seccomp', 'copy-up', 'copy-up-mode', 'propagation'],
  ...['reaper', 'evacuate-cgroup2', 'subid-source', 'publish', 'p', 'mtu'],
];

const SWITCHES = [
  ...['debug', 'disable-host-loopback', 'ipv6', 'pidns', 'cgroupns', 'utsns', 'ipcns', 'help', 'h', 'version', 'v'],
];

/** With a network, where they matter. */
const OF_NETWORK = ['cidr', 'ifname', 'slirp4netns-sandbox', 'slirp4netns-seccomp'];

export const emptyRows: readonly CommandRow[] = [
  ...TEXTS.map((name) => ({ name: `--${name}= with nothing`, args: [`--${name}=`, 'true'], message: true })),
  { name: '--cidr and nothing', args: ['--cidr', '', 'true'], message: true },
  ...SWITCHES.map((name) => ({ name: `--${name}= with nothing`, args: [`--${name}=`, 'true'], message: true })),
  ...OF_NETWORK.map((name) => ({
    name: `--${name}= with nothing, with a network`,
    args: [...NET, `--${name}=`, 'sh', '-c', DEVICE],
  })),
];

const mtu = (text: string): CommandRow => ({
  name: `--mtu=${text}`,
  args: [...NET, `--mtu=${text}`, 'cat', '/sys/class/net/tap0/mtu'],
  message: true,
});

export const numberRows: readonly CommandRow[] = [
  ...['0x5dc', '0X5DC', '0x5_dc', '0b10111011100', '02734', '0o2734', '1_500', '+1500', '-1', '-0x1', '65521'].map(mtu),
  ...['1.5', '1e3', ' 1500', '1500 ', '08', '_1500', '1__500', '1500_', '0x', '1500k', 'nan'].map(mtu),
];

const boolean = (text: string): CommandRow => ({
  name: `--pidns=${text}`,
  args: [`--pidns=${text}`, 'sh', '-c', 'test $$ -lt 50 && echo few'],
  message: true,
});

export const booleanRows: readonly CommandRow[] = [
  ...['1', 't', 'T', 'true', 'TRUE', 'True', '0', 'f', 'F', 'false', 'FALSE', 'False'].map(boolean),
  ...['tRUE', 'yes', 'on', '2', ' true'].map(boolean),
];

export const repeatedRows: readonly CommandRow[] = [
  { name: 'repeated: --cidr', args: [...NET, '--cidr=10.7.0.0/24', '--cidr=10.8.0.0/24', 'sh', '-c', DEVICE] },
  {
    name: 'repeated: --cidr, and nothing at last',
    args: [...NET, '--cidr=10.7.0.0/24', '--cidr=', 'sh', '-c', DEVICE],
  },
  { name: 'repeated: --ifname, and nothing at last', args: [...NET, '--ifname=a0', '--ifname=', 'sh', '-c', DEVICE] },
  {
    name: 'repeated: --net',
    args: ['--net=slirp4netns', '--net=host', 'sh', '-c', 'test -e /sys/class/net/tap0 || echo no'],
  },
  { name: 'repeated: --net, and nothing at last', args: ['--net=host', '--net=', 'true'], message: true },
  {
    name: 'repeated: --evacuate-cgroup2, and nothing at last',
    args: ['--evacuate-cgroup2=a', '--evacuate-cgroup2=', 'true'],
  },
  { name: 'repeated: --propagation', args: ['--propagation=rslave', '--propagation=rprivate', 'true'] },
  {
    name: 'repeated: --copy-up',
    args: ['--copy-up=/etc', '--copy-up', '/run', 'stat', '-f', '-c', '%T', '/etc', '/run'],
  },
  {
    name: 'repeated: --copy-up, the same',
    args: ['--copy-up=/run', '--copy-up=/run', 'stat', '-f', '-c', '%T', '/run'],
  },
  { name: 'repeated: a switch', args: ['--pidns', '--pidns', 'sh', '-c', 'test $$ -lt 50 && echo few'] },
  {
    name: 'repeated: a switch, off at last',
    args: ['--pidns=T', '--pidns=F', 'sh', '-c', 'test $$ -lt 50 || echo many'],
  },
];

const bad = (name: string, ...args: string[]): CommandRow => ({
  name: `odd: ${name}`,
  args: [...args, 'true'],
  message: true,
});

export const oddRows: readonly CommandRow[] = [
  bad('three dashes', '---pidns'),
  bad('one dash and =', '-=x'),
  bad('two dashes and =', '--=x'),
  bad('a single dash', '-'),
  bad('an unknown option with a value', '--bogus=x'),
  bad('an option in capitals', '--PIDNS'),
  bad('a switch of commander', '--no-pidns'),
  { name: 'odd: a value that is missing', args: ['--mtu'], message: true },
  { name: 'odd: a port that is missing', args: ['-p'], message: true },
  { name: 'odd: nothing after --', args: ['--'], message: true },
  { name: 'odd: an empty command', args: [''], message: true },
  { name: 'odd: -- twice', args: ['--', '--', 'true'], message: true },
  { name: 'odd: -- after an option', args: ['--pidns', '--', 'sh', '-c', 'test $$ -lt 50 && echo few'] },
  { name: 'odd: help that is off', args: ['--help=false', '--version=false', 'echo', 'ran'] },
  bad('an unknown port driver', '--port-driver=foo'),
  bad('an unknown port driver with a network', ...NET, '--port-driver=foo'),
  bad('an unknown sandbox', ...NET, '--slirp4netns-sandbox=maybe'),
  bad('an unknown filter', ...NET, '--slirp4netns-seccomp=maybe'),
  bad('an unknown sandbox of a network that there is not', '--slirp4netns-sandbox=maybe', '--slirp4netns-seccomp=yes'),
  bad('a slirp4netns that there is not', '--net=slirp4netns', '--slirp4netns-binary=no-such-program'),
  bad('an unknown source of sub-ids', '--subid-source=nis'),
  bad('an unknown reaper', '--reaper=maybe'),
  bad('a reaper that is off, in a pid namespace', '--pidns', '--reaper=false'),
  bad('a CIDR of IPv6', '--net=slirp4netns', '--cidr=fd00::/64'),
  bad('a CIDR of words', '--net=slirp4netns', '--cidr=nonsense'),
  bad('a CIDR without a length', '--net=slirp4netns', '--cidr=10.0.2.0'),
  bad('a device on the network of the host', '--ifname=eth0'),
  bad('an MTU on the network of the host', '--mtu=1500'),
  bad('a cgroup without a pid namespace', '--cgroupns', '--evacuate-cgroup2=x'),
  bad('a directory to copy up that is not absolute', '--copy-up=etc'),
  bad('copying up with propagation to the host', '--propagation=rshared', '--copy-up=/etc'),
  bad('a port without a protocol', ...NET, '--port-driver=builtin', '-p', '127.0.0.1:8080:80'),
  bad('a port with a protocol in capitals', ...NET, '--port-driver=builtin', '-p', '127.0.0.1:8080:80/TCP'),
  bad('a port with a name for an address', ...NET, '--port-driver=builtin', '-p', 'localhost:8080:80/tcp'),
  bad('a port in hex', ...NET, '--port-driver=builtin', '-p', '127.0.0.1:0x1f90:80/tcp'),
  bad('an empty port', ...NET, '--port-driver=builtin', '-p', ''),
];

/** Of rootlessctl, where no stack is there. */
export const ctlRows: readonly (readonly string[])[] = [
  [],
  ['help'],
  ['--help'],
  ['-h'],
  ['--version'],
  ['-v'],
  ['info', '--help'],
  ['bogus'],
  ['help', 'bogus'],
  ['--bogus'],
  ['list-ports', '--bogus'],
  ['list-ports', 'more'],
  ['info', 'more'],
  ['--socket'],
  ['--socket=', 'info'],
  ['--socket=/no/such/socket', 'info'],
  ['-socket', '/no/such/socket', 'list-ports', '-json=t'],
  ['--debug=maybe', 'info'],
  ['info', '--json=maybe'],
  ['--json', 'info'],
  ['list-ports'],
  ['--', 'list-ports'],
  ['add-ports'],
  ['add-ports', ''],
  ['add-ports', 'bad'],
  ['add-ports', '127.0.0.1:8080:80/tcp'],
  ['remove-ports'],
  ['remove-ports', ''],
  ['remove-ports', 'abc'],
  ['remove-ports', '0x1'],
  ['remove-ports', '1'],
];
