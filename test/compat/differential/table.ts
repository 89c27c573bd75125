/** Command lines, and calls of the API, that RootlessKit and rootless-net under its name are compared by. */

export interface CommandRow {
  name: string;
  /** Of rootlesskit; SPEC stands for a free port of the host with its address, such as 127.0.0.1:8080. */
  args: readonly string[];
  /** Last line of standard error is compared, too. */
  message?: boolean;
  env?: Readonly<Record<string, string>>;
}

export interface CallRow {
  name: string;
  method: 'GET' | 'POST' | 'DELETE' | 'PUT';
  path: string;
  /** FREE stands for a free port, the same one throughout. */
  body?: string;
}

const NET = ['--net=slirp4netns', '--disable-host-loopback', '--copy-up=/etc'];
const sh = (script: string, ...options: string[]): readonly string[] => [...options, 'sh', '-c', script];

const namespaces =
  'for n in user mnt net pid ipc uts cgroup; do test "$(readlink /proc/$PPID/ns/$n)" = "$(readlink /proc/self/ns/$n)" && echo "$n of the parent"; done; true';

export const commandRows: readonly CommandRow[] = [
  { name: 'exit code 0', args: sh('exit 0') },
  { name: 'exit code 42', args: sh('exit 42'), message: true },
  { name: 'exit code 42 with a pid namespace', args: sh('exit 42', '--pidns'), message: true },
  { name: 'ended by SIGUSR1', args: sh('kill -USR1 $$'), message: true },
  { name: 'ended by SIGKILL', args: sh('kill -KILL $$'), message: true },
  { name: 'ended by SIGSEGV', args: sh('kill -SEGV $$'), message: true },
  { name: 'a command that is not there', args: ['no-such-command'], message: true },
  { name: 'a command that cannot be executed', args: ['/etc/passwd'], message: true },
  { name: 'no command', args: [], message: true },
  { name: 'an unknown option', args: ['--bogus', 'true'], message: true },
  { name: 'an option after the command', args: ['echo', '--net=none'] },
  { name: 'options end at --', args: ['--', 'echo', '-x'] },
  { name: 'one dash', args: ['-pidns', 'sh', '-c', 'test $$ -lt 50 && echo few'] },
  { name: 'a boolean with a value', args: ['--pidns=true', 'sh', '-c', 'test $$ -lt 50 && echo few'] },
  { name: 'a boolean that is off', args: sh('test $$ = 1 || echo another', '--pidns', '--pidns=false') },
  { name: 'a boolean takes no next word', args: ['--pidns', 'false'] },
  { name: 'the last one wins', args: sh('cat /sys/class/net/tap0/mtu', ...NET, '--mtu=1500', '--mtu=4000') },
  { name: 'an unknown network', args: ['--net=foo', 'true'], message: true },
  { name: 'an MTU that is too large', args: ['--mtu=65522', 'true'], message: true },
  { name: 'a CIDR that is not a network', args: ['--net=slirp4netns', '--cidr=10.0.2.1/24', 'true'], message: true },
  { name: 'a CIDR with the network of the host', args: ['--cidr=1.2.3.0/24', 'true'], message: true },
  { name: 'a device name with a slash', args: ['--net=slirp4netns', '--ifname=a/b', 'true'], message: true },
  { name: 'ports without a driver', args: ['-p', '127.0.0.1:8080:80/tcp', 'true'], message: true },
  { name: 'a port driver on the network of the host', args: ['--port-driver=builtin', 'true'], message: true },
  {
    name: 'the slirp4netns port driver without slirp4netns',
    args: ['--port-driver=slirp4netns', 'true'],
    message: true,
  },
  { name: 'a port that is none', args: [...NET, '--port-driver=builtin', '-p', 'bad', 'true'], message: true },
  { name: 'evacuation without a cgroup namespace', args: ['--evacuate-cgroup2=x', 'true'], message: true },
  { name: 'copying up /tmp', args: ['--copy-up=/tmp', 'true'] },
  { name: 'copying up what is not there', args: ['--copy-up=/no/such', 'true'] },
  { name: 'a copy-up mode that there is not', args: ['--copy-up=/etc', '--copy-up-mode=x', 'true'] },
  { name: 'a reaper without a pid namespace', args: ['--reaper=true', 'true'] },
  { name: 'an unknown propagation', args: ['--propagation=foo', 'true'] },
  { name: 'propagation rslave', args: ['--propagation=rslave', 'true'] },
  { name: 'ids', args: sh('id; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups') },
  { name: 'capabilities', args: sh('grep Cap /proc/self/status') },
  { name: 'umask and working directory', args: sh('umask; pwd') },
  {
    name: 'variables',
    args: sh('env | grep -o "^ROOTLESSKIT_[A-Z_]*" | sort; echo $ROOTLESSKIT_PARENT_EUID $ROOTLESSKIT_PARENT_EGID'),
  },
  { name: 'a variable of the user', args: sh('echo $MINE'), env: { MINE: 'kept' } },
  { name: 'namespaces by default', args: sh(namespaces) },
  { name: 'namespaces that are asked for', args: sh(namespaces, '--ipcns', '--utsns', '--cgroupns') },
  {
    name: 'a pid namespace',
    args: sh('ls -d /proc/[0-9]* | wc -l | grep -x "[1-9]" > /dev/null && echo few', '--pidns'),
  },
  {
    name: 'the network of slirp4netns',
    args: sh('ip -4 -o addr show | cut -d" " -f2-7; ip route; cat /sys/class/net/tap0/mtu', ...NET),
  },
  {
    name: 'another device name, MTU and network',
    args: sh(
      'ip -4 -o addr show eth7 | cut -d" " -f2-7; ip route; cat /sys/class/net/eth7/mtu',
      ...NET,
      '--ifname=eth7',
      '--mtu=1234',
      '--cidr=10.7.0.0/16',
    ),
  },
  {
    name: 'flags, types and MTUs of the devices',
    args: sh('ip -o link show | cut -d" " -f2-5; cat /sys/class/net/*/type /sys/class/net/tap0/tun_flags', ...NET),
  },
  { name: 'resolvers', args: sh('grep nameserver /etc/resolv.conf', ...NET) },
  { name: 'resolvers with IPv6', args: sh('grep nameserver /etc/resolv.conf', ...NET, '--ipv6') },
  { name: 'hosts', args: sh('tail -2 /etc/hosts', ...NET) },
  { name: 'hosts and resolv.conf are files', args: sh('stat -c %F /etc/hosts /etc/resolv.conf', ...NET) },
  {
    name: 'the sandbox and seccomp of slirp4netns',
    args: sh('cat /sys/class/net/tap0/mtu', ...NET, '--slirp4netns-sandbox=auto', '--slirp4netns-seccomp=auto'),
  },
  {
    name: 'a copied-up directory',
    args: sh(
      'for f in /etc/*; do if test -L $f; then readlink $f; else stat -c "%F %n" $f; fi; done | sed "s/\\.ro[^/]*/.ro/"; stat -f -c %T /etc; stat -c "%U %a" /etc',
      '--copy-up=/etc',
    ),
  },
  {
    name: 'two copied-up directories',
    args: sh('stat -f -c %T /etc /run; ls /run | sort', '--copy-up=/etc', '--copy-up=/run'),
  },
  {
    name: 'a copied-up directory is written',
    args: sh(
      'echo new > /etc/passwd.new && rm /etc/passwd && ls /etc/passwd /etc/passwd.new 2>&1 | grep -c passwd',
      '--copy-up=/etc',
    ),
  },
  {
    name: 'files of the state directory',
    args: sh(
      'while ! test -S "$ROOTLESSKIT_STATE_DIR/api.sock"; do :; done; cd "$ROOTLESSKIT_STATE_DIR"; stat -c "%n %F %a" lock child_pid api.sock hosts resolv.conf',
      ...NET,
    ),
  },
  {
    name: 'listeners of every kind',
    // A command that ends at once takes RootlessKit's child away while its parent still asks it about ports.
    args: [...NET, '--port-driver=builtin', '-p', 'SPEC:80/tcp', '-p', 'SPEC:81/udp', 'sleep', '0.5'],
  },
];

export const callRows: readonly CallRow[] = [
  { name: 'no ports', method: 'GET', path: '/v1/ports' },
  {
    name: 'a port',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentIP":"127.0.0.1","parentPort":FREE,"childPort":80}',
  },
  {
    name: 'the same port again',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentIP":"127.0.0.1","parentPort":FREE,"childPort":81}',
  },
  {
    name: 'the port on all addresses',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentIP":"0.0.0.0","parentPort":FREE,"childPort":81}',
  },
  {
    name: 'the port for UDP',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"udp","parentIP":"127.0.0.1","parentPort":FREE,"childPort":80,"childIP":"127.0.0.1"}',
  },
  {
    name: 'the port for IPv6',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp6","parentIP":"::1","parentPort":FREE,"childPort":80}',
  },
  {
    name: 'a protocol that there is not',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"icmp","parentPort":FREE,"childPort":80}',
  },
  {
    name: 'a protocol that is not forwarded',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"sctp","parentPort":FREE,"childPort":80}',
  },
  {
    name: 'an address that is none',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentIP":"invalid","parentPort":FREE,"childPort":80}',
  },
  {
    name: 'a port that is too large',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentPort":100000,"childPort":80}',
  },
  { name: 'no child port', method: 'POST', path: '/v1/ports', body: '{"proto":"tcp","parentPort":FREE}' },
  {
    name: 'a privileged port',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentIP":"127.0.0.1","parentPort":80,"childPort":80}',
  },
  {
    name: 'an address of another host',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentIP":"192.0.2.55","parentPort":FREE,"childPort":80}',
  },
  { name: 'no JSON', method: 'POST', path: '/v1/ports', body: 'nonsense' },
  { name: 'nothing', method: 'POST', path: '/v1/ports', body: '' },
  { name: 'removing a port', method: 'DELETE', path: '/v1/ports/1' },
  { name: 'removing it again', method: 'DELETE', path: '/v1/ports/1' },
  { name: 'removing what has no number', method: 'DELETE', path: '/v1/ports/abc' },
  {
    name: 'the port once more',
    method: 'POST',
    path: '/v1/ports',
    body: '{"proto":"tcp","parentIP":"127.0.0.1","parentPort":FREE,"childPort":80}',
  },
  { name: 'another path', method: 'GET', path: '/v1/other' },
  { name: 'another method', method: 'PUT', path: '/v1/ports' },
  { name: 'a method of another path', method: 'POST', path: '/v1/info' },
];
