import assert from 'node:assert/strict';
import { rootlesskit, rootlessRun } from '../../bin/dialect.js';
import { parseCommandLine } from '../../bin/run-options.js';
import { NetworkError, UsageError } from '../../parent/errors.js';
import { PortSpecError } from '../../protocol/port-spec.js';

const options = (...args: string[]) => parseCommandLine(args, rootlessRun).options;
const kit = (...args: string[]) => parseCommandLine(args, rootlesskit);

/** What is wrong with a command line. */
function problem(...args: string[]): string {
  try {
    parseCommandLine(args, rootlessRun);
  } catch (error) {
    assert(
      error instanceof UsageError || error instanceof PortSpecError || error instanceof NetworkError,
      String(error),
    );
    assert.doesNotMatch(error.message, /\n/, 'one line');
    return error.message;
  }
  assert.fail(`${args.join(' ')} was taken`);
}

describe('the command line of rootless-run', () => {
  it('needs nothing but a command', () => {
    assert.deepEqual(options('true'), {
      command: ['true'],
      net: 'auto',
      network: {
        mtu: 0,
        cidr: '10.0.2.0/24',
        hostLoopback: false,
        ipv6: false,
        slirp4netns: { binary: 'slirp4netns', sandbox: 'off', seccomp: 'off' },
        pasta: { binary: 'pasta' },
        lxcUserNic: { bridge: 'lxcbr0' },
      },
      detachNetns: false,
      portDriver: 'builtin',
      publish: [],
      keepSource: true,
      copyUp: ['/etc'],
      propagation: 'rprivate',
      namespaces: [],
      subIdSource: 'auto',
    });
  });

  it('leaves what comes after the command, or after --, to the command', () => {
    assert.deepEqual(options('--net=none', 'ls', '-p', '--net=x').command, ['ls', '-p', '--net=x']);
    assert.deepEqual(options('--pidns', '--', '--odd', '--').command, ['--odd', '--']);
    assert.deepEqual(options('-p', '8080:80', 'sh', '-c', 'exit').command, ['sh', '-c', 'exit']);
    assert.deepEqual(options('--', 'a', '--', 'b').command, ['a', '--', 'b']);
  });

  it('takes options as Go does: one dash or two, = or a blank, booleans with a value, the last one wins', () => {
    assert.equal(options('-net=none', 'true').net, 'none');
    assert.equal(options('--net', 'none', 'true').net, 'none');
    assert.equal(options('--mtu=1500', '--mtu=0', 'true').network.mtu, 0);
    assert.deepEqual(options('--pidns=true', '--utsns=0', 'true').namespaces, ['pid']);
    assert.deepEqual(options('--pidns', '--utsns', '--pidns=f', 'true').namespaces, ['uts']);
    assert.deepEqual(options('--pidns', 'false').command, ['false']);
  });

  it('collects ports, repeated or behind commas', () => {
    const { publish } = options('-p', '127.0.0.2:8080:80', '--publish=1000:1,1001:2/udp', '-p=90-91:90-91', 'true');
    assert.deepEqual(
      publish.map(({ proto, parentPort, childPort }) => `${parentPort}:${childPort}/${proto}`),
      ['8080:80/tcp', '1000:1/tcp', '1001:2/udp', '90:90/tcp', '91:91/tcp'],
    );
  });

  it('collects directories to copy up, made absolute, each once', () => {
    assert.deepEqual(options('--copy-up=/etc', '--copy-up=/run/,/etc', 'true').copyUp, ['/etc', '/run']);
  });

  it('says what is wrong, with the value, in one line', () => {
    assert.match(problem(), /no command specified/);
    assert.match(problem('--net=none'), /no command specified/);
    assert.match(problem('--publsh', '1:1', 'true'), /unknown option '--publsh'.*--publish/);
    assert.match(problem('--net=bridge', 'true'), /unknown network mode: bridge.*slirp4netns/);
    assert.match(problem('--port-driver=magic', 'true'), /magic/);
    assert.match(problem('--propagation=upwards', 'true'), /unknown propagation: upwards.*rslave/);
    for (const mtu of ['65522', '-1', 'big', '1.5'])
      assert.match(problem(`--mtu=${mtu}`, 'true'), new RegExp(`got ${mtu}`));
    assert.match(problem('--cidr=10.0.2.1/24', 'true'), /10\.0\.2\.0\/24.*not like 10\.0\.2\.1\/24/);
    assert.match(problem('--cidr=nonsense', 'true'), /not like nonsense/);
    assert.match(problem('--cidr=fd00::/64', 'true'), /not like fd00::\/64/);
    assert.match(problem('--copy-up=', 'true'), /--copy-up needs a directory/);
    assert.match(problem('--copy-up=/tmp', 'true'), /\/tmp cannot be copied up/);
    assert.match(problem('--propagation=rshared', '--copy-up=/etc', 'true'), /copy-up/);
    assert.match(problem('--port-driver=none', '-p', '8080:80', 'true'), /port driver "none" does not support/);
    assert.match(problem('-p', 'bad', 'true'), /bad/);
    assert.match(problem('--publish'), /publish/);
    assert.match(problem('--pidns=maybe', 'true'), /pidns/);
  });

  it('copies nothing up where the host would see it', () => {
    assert.deepEqual(options('--propagation=rshared', 'true').copyUp, []);
  });

  it('gives no port driver to the network of the host', () => {
    assert.equal(options('--net=host', 'true').portDriver, 'none');
    assert.match(problem('--net=host', '-p', '8080:80', 'true'), /--net=host/);
    assert.match(problem('--net=host', '--port-driver=builtin', 'true'), /--net=host/);
  });

  it('refuses what does not go together', () => {
    assert.match(problem('--net=pasta', '--port-driver=slirp4netns', 'true'), /needs --net=slirp4netns/);
    assert.match(problem('--net=slirp4netns', '--port-driver=implicit', 'true'), /needs --net=pasta/);
    assert.match(problem('--net=pasta', '--port-driver=implicit', '-p', '1:1', 'true'), /"implicit" does not support/);
    assert.match(problem('--net=none', '--cidr=10.0.2.0/24', 'true'), /--cidr cannot be used with --net=none/);
    assert.match(problem('--net=host', '--ifname=eth0', 'true'), /--ifname cannot be used with --net=host/);
    assert.match(problem('--slirp4netns-sandbox=true', '--detach-netns', 'true'), /exclude each other/);
    assert.match(problem('--evacuate-cgroup2=x', 'true'), /evacuate-cgroup2 requires --cgroupns/);
    assert.match(problem('--evacuate-cgroup2=x', '--cgroupns', 'true'), /evacuate-cgroup2 requires --pidns/);
    assert.match(problem('--evacuate-cgroup2=a/b', '--cgroupns', '--pidns', 'true'), /a\/b/);
    assert.match(problem('--ifname=a/b', 'true'), /ifname must not contain "\/"/);
    assert.match(problem('--ifname=sixteen-letters-', 'true'), /15 characters/);
    assert.match(problem('--reaper=maybe', 'true'), /--reaper must be auto, true or false, got "maybe"/);
    assert.match(problem('--subid-source=nis', 'true'), /unknown subid source: nis/);
    assert.match(problem('--copy-up-mode=overlay', 'true'), /unknown copy-up mode: overlay/);
    assert.match(problem('--print-semver=all', 'true'), /expected --print-semver=\(major\|minor\|patch\), got "all"/);
  });

  it('has the port driver bypass say what it gives up, and keeps it from what it does not go with', () => {
    const run = (...args: string[]) => parseCommandLine(['--port-driver=bypass', ...args, 'true'], rootlessRun);
    const { options: chosen, warnings } = run('--bypass-outbound');
    assert.deepEqual(chosen.bypass, { outbound: true, activate: false });
    assert.match(warnings.join(), /holds sockets of the host.*--allow-host-loopback/);
    assert.deepEqual(run('--allow-host-loopback').warnings, []);
    assert.equal(run('--activate', '-p', '1:1').options.bypass?.activate, true);
    assert.equal(options('true').bypass, undefined);

    const bypassProblem = (...args: string[]) => problem('--port-driver=bypass', ...args, 'true');
    assert.match(bypassProblem('--disable-host-loopback'), /exclude each other.*host/);
    assert.match(bypassProblem('--detach-netns'), /exclude each other/);
    assert.match(bypassProblem('--net=host'), /"bypass" cannot be used with --net=host/);
    assert.match(bypassProblem('--activate'), /--activate needs a port/);
    assert.match(bypassProblem('--activate', '-p', '1:1+proxy1'), /PROXY protocol/);
    assert.match(bypassProblem('--activate', '-p', '1:1/udp'), /UDP needs --allow-host-loopback/);
    for (const option of ['--activate', '--bypass-outbound']) {
      assert.match(problem(option, 'true'), new RegExp(`${option} needs --port-driver=bypass, not builtin`));
    }
    assert.throws(
      () => parseCommandLine(['--port-driver=bypass'], rootlessRun, { needsCommand: false }),
      /bypass needs a command/,
    );
    assert.match(kit('--net=pasta', '--port-driver=bypass', 'true').warnings.join(), /^with --port-driver=bypass/);
  });

  it('names what to use for drivers that there are not', () => {
    for (const net of ['vpnkit', 'gvisor-tap-vsock']) {
      assert.match(problem(`--net=${net}`, 'true'), new RegExp(`"${net}" is not supported.*--net=slirp4netns`));
    }
    for (const driver of ['gvisor-tap-vsock', 'pesto']) {
      assert.match(problem(`--port-driver=${driver}`, 'true'), new RegExp(`"${driver}" is not supported.*builtin`));
    }
  });
});

describe("the command line under RootlessKit's name", () => {
  it("has RootlessKit's defaults", () => {
    const { options: parsed, warnings } = kit('true');
    const { net, portDriver, copyUp, network } = parsed;
    assert.deepEqual({ net, portDriver, copyUp }, { net: 'host', portDriver: 'none', copyUp: [] });
    assert.equal(network.hostLoopback, true);
    assert.deepEqual(warnings, []);
    assert.match(kit('--net=slirp4netns', 'true').warnings.join(), /--disable-host-loopback is highly recommended/);
    assert.deepEqual(kit('--net=slirp4netns', '--disable-host-loopback', 'true').warnings, []);
  });

  it('takes every option of RootlessKit 3.2', () => {
    const { options: parsed } = kit(
      ...'--debug --state-dir=/s --net=pasta --pasta-binary=/p --slirp4netns-binary=/x --vpnkit-binary=/v'.split(' '),
      ...'--slirp4netns-sandbox=auto --slirp4netns-seccomp=auto --lxc-user-nic-binary=/l'.split(' '),
      ...'--lxc-user-nic-bridge=br0 --mtu=1500 --cidr=10.3.0.0/24 --ifname=eth0 --disable-host-loopback'.split(' '),
      ...'--ipv6 --detach-netns --copy-up=/etc,/run --copy-up-mode=tmpfs+symlink --propagation=rslave'.split(' '),
      ...'--port-driver=builtin -p 127.0.0.1:8080:80/tcp --source-ip-transparent=false'.split(' '),
      ...'--source-ip-transparent-backend=nft --pidns --cgroupns --utsns --ipcns --reaper=true'.split(' '),
      ...'--evacuate-cgroup2=evac --subid-source=static sh -c true'.split(' '),
    );
    assert.deepEqual(parsed, {
      command: ['sh', '-c', 'true'],
      stateDir: '/s',
      net: 'pasta',
      network: {
        mtu: 1500,
        cidr: '10.3.0.0/24',
        ifname: 'eth0',
        hostLoopback: false,
        ipv6: true,
        slirp4netns: { binary: '/x', sandbox: 'auto', seccomp: 'auto' },
        pasta: { binary: '/p' },
        lxcUserNic: { binary: '/l', bridge: 'br0' },
      },
      detachNetns: true,
      portDriver: 'builtin',
      publish: [{ proto: 'tcp', parentIP: '127.0.0.1', parentPort: 8080, childPort: 80 }],
      keepSource: false,
      copyUp: ['/etc', '/run'],
      propagation: 'rslave',
      namespaces: ['pid', 'ipc', 'uts', 'cgroup'],
      evacuateCgroup2: 'evac',
      subIdSource: 'static',
    });
  });
});
