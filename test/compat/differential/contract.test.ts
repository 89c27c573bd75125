// Options that RootlessKit has since 2.0 and 3.0; Debian's is older, so what they do is written down here.
import assert from 'node:assert/strict';
import { binPath, run } from '../../support/index.js';

interface ContractRow {
  args: readonly string[];
  code?: number;
  stdout?: string;
  /** The last line on standard error, from its beginning; nothing is expected where it is absent. */
  message?: string;
}

const ERROR = '[rootlesskit:parent] error: ';
const PASTA = ['--net=pasta', '--disable-host-loopback', '--copy-up=/etc'];
const DEVICES = ['sh', '-c', 'ls -x /sys/class/net; test -e $ROOTLESSKIT_STATE_DIR/netns && echo netns'];
const FIND_TAP = ['sh', '-c', 'nsenter -n$ROOTLESSKIT_STATE_DIR/netns ip -br link | cut -d" " -f1 | tr "\\n" " "'];

const rows: readonly ContractRow[] = [
  { args: ['--version'], stdout: 'rootlesskit version 3.2.0\n' },
  { args: ['-v=1'], stdout: 'rootlesskit version 3.2.0\n' },
  { args: ['--print-semver=major'], stdout: '3\n' },
  { args: ['--print-semver=minor', 'ignored'], stdout: '2\n' },
  { args: ['--print-semver', 'patch'], stdout: '0\n' },
  { args: ['--print-semver=', 'echo', 'ran'], stdout: 'ran\n' },
  { args: ['--print-semver=all'], code: 1, message: `${ERROR}expected --print-semver=(major|minor|patch), got "all"` },
  { args: ['--net=none', ...DEVICES], code: 1, stdout: 'lo\n', message: `${ERROR}child exited: exit status 1` },
  { args: [...PASTA, ...DEVICES, ''], code: 1, stdout: 'lo  tap0\n', message: `${ERROR}child exited: exit status 1` },
  { args: [...PASTA, '--detach-netns', ...FIND_TAP], stdout: 'lo tap0 ' },
  {
    args: [...PASTA, '--detach-netns', '--detach-netns=f', '--ifname=', '--cidr=', 'ls', '/sys/class/net'],
    stdout: 'lo\ntap0\n',
  },
  { args: ['--net=none', '--detach-netns=t', ...FIND_TAP], stdout: 'lo ' },
  { args: ['--net=host', '--port-driver=none', '--mtu=0', '--detach-netns', 'true'] },
  { args: ['--net=none', '--cidr=10.0.2.0/24', 'true'], code: 1, message: ERROR },
  { args: ['--net=none', '--ifname=eth0', 'true'], code: 1, message: ERROR },
  { args: ['--net=none', '--port-driver=slirp4netns', 'true'], code: 1, message: ERROR },
  { args: ['--net=slirp4netns', '--port-driver=implicit', 'true'], code: 1, message: ERROR },
  { args: ['--slirp4netns-sandbox=true', '--net=slirp4netns', '--detach-netns', 'true'], code: 1, message: ERROR },
  { args: ['--source-ip-transparent=false', '--source-ip-transparent=', 'true'] },
  { args: ['--source-ip-transparent=maybe', 'true'], code: 1, message: `${ERROR}invalid boolean value "maybe" for ` },
  { args: ['--source-ip-transparent-backend=iptables', '--source-ip-transparent-backend=', 'true'] },
  { args: ['--source-ip-transparent-backend=pf', 'true'], code: 1, message: ERROR },
  { args: ['--copy-up=/run,/etc', 'stat', '-f', '-c', '%T', '/run', '/etc'], stdout: 'tmpfs\ntmpfs\n' },
  { args: ['--subid-source=static', '--subid-source=', 'true'] },
  { args: ['--pasta-binary=', '--vpnkit-binary=', '--lxc-user-nic-binary=', 'true'] },
];

describe('options of RootlessKit 2 and 3', () => {
  for (const { args, code = 0, stdout, message } of rows) {
    it(args.join(' '), async () => {
      const result = await run(binPath('rootlesskit'), args);
      assert.equal(result.code, code, result.stderr);
      if (stdout !== undefined) assert.equal(result.stdout, stdout);
      const last = result.stderr.trim().split('\n').at(-1) ?? '';
      if (message === undefined) assert.equal(last, '');
      else assert(last.startsWith(message), last);
    });
  }

  it('are all in the help, with the drivers that have substitutes', async () => {
    const { stdout } = await run(binPath('rootlesskit'), ['--help']);
    for (const word of [
      '--detach-netns',
      '--ipv6',
      '--source-ip-transparent-backend',
      '--print-semver',
      '--pasta-binary',
    ]) {
      assert.match(stdout, new RegExp(`(^|\\W)${word}(\\W|$)`));
    }
    for (const driver of ['gvisor-tap-vsock', 'vpnkit', 'pesto', 'implicit']) assert(stdout.includes(driver), driver);
  });
});
