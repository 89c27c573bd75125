import assert from 'node:assert/strict';
import { rootlesskit, rootlessRun } from '../../../../bin/run/dialect.js';
import { parseCommandLine } from '../../../../bin/run/options/parse.js';
import { nameOf, textFor } from '../../../../bin/run/options/rule.js';
import { optionTable } from '../../../../bin/run/options/table.js';
import { IncorrectUsageError } from '../../../../bin/run/options/values.js';
import { NetworkError, UsageError } from '../../../../parent/errors.js';
import { formatPortMapping, PortMappingError, parsePortSpec } from '../../../../protocol/ports/grammar.js';

const options = (...args: string[]) => parseCommandLine(args, rootlessRun).options;
const kit = (...args: string[]) => parseCommandLine(args, rootlesskit);

/** What is wrong with a command line. */
function problem(...args: string[]): string {
  try {
    parseCommandLine(args, rootlessRun);
  } catch (error) {
    assert(
      error instanceof UsageError || error instanceof PortMappingError || error instanceof NetworkError,
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
        hostNetworks: 'avoid',
        hostLoopback: false,
        hostPorts: [],
        ipv6: false,
        autoIPv6: true,
        slirp4netns: { binary: 'slirp4netns', sandbox: 'auto', seccomp: 'auto' },
        pasta: { binary: 'pasta' },
        lxcUserNic: { bridge: 'lxcbr0' },
      },
      detachNetns: false,
      portDriver: 'builtin',
      publish: [],
      keepSource: true,
      systemPath: true,
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

  it('parses options as Go does: one dash or two, = or a blank, booleans with a value, the last one wins', () => {
    assert.equal(options('-net=none', 'true').net, 'none');
    assert.equal(options('--net', 'none', 'true').net, 'none');
    assert.equal(options('--mtu=1500', '--mtu=0', 'true').network.mtu, 0);
    assert.deepEqual(options('--pidns=true', '--utsns=0', 'true').namespaces, ['pid']);
    assert.deepEqual(options('--pidns', '--utsns', '--pidns=f', 'true').namespaces, ['uts']);
    assert.deepEqual(options('--pidns', 'false').command, ['false']);
  });

  it('collects ports, repeated or separated by commas', () => {
    const { publish } = options('-p', '127.0.0.2:8080:80', '--publish=1000:1,1001:2/udp', '-p=90-91:90-91', 'true');
    assert.deepEqual(publish.map(formatPortMapping), [
      '127.0.0.2:8080:80/tcp',
      '1000:1/tcp',
      '1001:2/udp',
      '90-91:90-91/tcp',
    ]);
  });

  it('collects directories to copy up, made absolute, each once', () => {
    assert.deepEqual(options('--copy-up=/etc', '--copy-up=/run/,/etc', 'true').copyUp, ['/etc', '/run']);
  });

  it('reports what is wrong, with the value, in one line', () => {
    assert.match(problem(), /no command specified/);
    assert.match(problem('--net=none'), /no command specified/);
    assert.match(problem('--publsh', '1:1', 'true'), /unknown option '--publsh'.*--publish/);
    assert.match(problem('--net=bridge', 'true'), /unknown network mode: bridge.*slirp4netns/);
    assert.match(problem('--port-driver=magic', 'true'), /magic/);
    assert.match(problem('--propagation=upwards', 'true'), /invalid --propagation "upwards".*rslave/);
    for (const mtu of ['65522', '-1', 'big', '1.5'])
      assert.match(problem(`--mtu=${mtu}`, 'true'), new RegExp(`invalid --mtu "${mtu}"`));
    assert.match(problem('--cidr=10.0.2.1/24', 'true'), /invalid --cidr "10\.0\.2\.1\/24": expected 10\.0\.2\.0\/24/);
    assert.match(problem('--cidr=nonsense', 'true'), /invalid --cidr "nonsense"/);
    assert.match(problem('--cidr=fd00::/64', 'true'), /invalid --cidr "fd00::\/64"/);
    assert.match(problem('--copy-up=/etc,', 'true'), /invalid --copy-up "": expected a directory/);
    assert.match(problem('--copy-up=/tmp', 'true'), /\/tmp cannot be copied up/);
    assert.match(problem('--propagation=rshared', '--copy-up=/etc', 'true'), /copy-up/);
    assert.match(problem('--port-driver=none', '-p', '8080:80', 'true'), /port driver "none" does not support/);
    assert.match(problem('-p', 'bad', 'true'), /bad/);
    assert.match(problem('--publish'), /publish/);
    assert.match(problem('--pidns=maybe', 'true'), /pidns/);
  });

  it('copies nothing up if the host would see it', () => {
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
    assert.match(problem('--net=none', '--cidr=10.0.2.0/24', 'true'), /--cidr and --net=none are mutually exclusive/);
    assert.match(problem('--net=host', '--ifname=eth0', 'true'), /--ifname and --net=host are mutually exclusive/);
    assert.match(problem('--slirp4netns-sandbox=true', '--detach-netns', 'true'), /mutually exclusive/);
    assert.match(problem('--ui=127.0.0.1:8081', '--quiet', 'true'), /--ui and --quiet are mutually exclusive: the URL/);
    assert.match(problem('--evacuate-cgroup2=x', 'true'), /evacuate-cgroup2 requires --cgroupns/);
    assert.match(problem('--evacuate-cgroup2=x', '--cgroupns', 'true'), /evacuate-cgroup2 requires --pidns/);
    assert.match(problem('--evacuate-cgroup2=a/b', '--cgroupns', '--pidns', 'true'), /a\/b/);
    assert.match(problem('--ifname=a/b', 'true'), /invalid --ifname "a\/b": expected .* without .*"\/"/);
    assert.match(problem('--ifname=sixteen-letters-', 'true'), /15 characters/);
    assert.match(problem('--reaper=maybe', 'true'), /invalid --reaper "maybe": expected one of auto, true, false/);
    assert.match(problem('--subid-source=nis', 'true'), /invalid --subid-source "nis"/);
    assert.match(problem('--copy-up-mode=overlay', 'true'), /invalid --copy-up-mode "overlay"/);
    assert.match(problem('--print-semver=all', 'true'), /expected --print-semver=\(major\|minor\|patch\), got "all"/);
  });

  it('has the port driver bypass report what it gives up, and refuses incompatible options', () => {
    const run = (...args: string[]) => parseCommandLine(['--port-driver=bypass', ...args, 'true'], rootlessRun);
    const { options: chosen, warnings } = run('--bypass-outbound');
    assert.deepEqual(chosen.bypass, { outbound: true, activate: false });
    assert.match(warnings.join(), /holds sockets of the host.*--allow-host-loopback/);
    assert.deepEqual(run('--allow-host-loopback').warnings, []);
    assert.equal(run('--activate', '-p', '1:1').options.bypass?.activate, true);
    assert.equal(options('true').bypass, undefined);

    const bypassProblem = (...args: string[]) => problem('--port-driver=bypass', ...args, 'true');
    assert.match(bypassProblem('--disable-host-loopback'), /mutually exclusive.*host/);
    assert.match(bypassProblem('--detach-netns'), /mutually exclusive/);
    assert.match(bypassProblem('--net=host'), /"bypass" cannot be used with --net=host/);
    assert.match(bypassProblem('--activate'), /--activate requires --publish/);
    assert.match(bypassProblem('--activate', '-p', '1:1+proxy1'), /PROXY protocol/);
    assert.match(bypassProblem('--activate', '-p', '1:1/udp'), /requires --allow-host-loopback for UDP/);
    for (const option of ['--activate', '--bypass-outbound']) {
      assert.match(problem(option, 'true'), new RegExp(`${option} requires --port-driver=bypass, not builtin`));
    }
    assert.throws(
      () => parseCommandLine(['--port-driver=bypass'], rootlessRun, { needsCommand: false }),
      /bypass requires a command/,
    );
    assert.match(kit('--net=pasta', '--port-driver=bypass', 'true').warnings.join(), /^with --port-driver=bypass/);
  });

  it('names what to use for drivers that do not exist', () => {
    for (const net of ['vpnkit', 'gvisor-tap-vsock']) {
      assert.match(problem(`--net=${net}`, 'true'), new RegExp(`"${net}" is not supported.*--net=slirp4netns`));
    }
    for (const driver of ['gvisor-tap-vsock', 'pesto']) {
      assert.match(problem(`--port-driver=${driver}`, 'true'), new RegExp(`"${driver}" is not supported.*builtin`));
    }
  });
});

describe('the table of options', () => {
  it('names existing options, and values that they can have, in its conflicts and requirements', () => {
    const rules = new Map(
      Object.values(optionTable)
        .flat()
        .map((rule) => [`--${nameOf(rule)}`, rule]),
    );
    for (const [name, { conflicts = [], requires = [] }] of rules) {
      for (const { option, values = [] } of conflicts) {
        const rule = rules.get(option);
        assert(rule, `${name}: ${option}`);
        if (rule.choices) assert(values.every((value) => rule.choices?.includes(value)));
      }
      for (const { option } of requires) assert(rules.has(option), `${name}: ${option}`);
    }
  });

  it('has a default among the choices of each option', () => {
    for (const rule of Object.values(optionTable).flat()) {
      for (const dialect of [rootlessRun, rootlesskit]) {
        const value = textFor(rule.default, dialect);
        if (rule.choices) assert(rule.choices.includes(value ?? ''), rule.flags);
      }
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

  it('accepts every option of RootlessKit 3.2', () => {
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
        hostPorts: [],
        ipv6: true,
        autoIPv6: false,
        // Of another network: they are not checked.
        slirp4netns: { binary: '/x', sandbox: 'off', seccomp: 'off' },
        pasta: { binary: '/p' },
        lxcUserNic: { binary: '/l', bridge: 'br0' },
      },
      detachNetns: true,
      portDriver: 'builtin',
      publish: [parsePortSpec('127.0.0.1:8080:80')],
      keepSource: false,
      systemPath: false,
      copyUp: ['/etc', '/run'],
      propagation: 'rslave',
      namespaces: ['pid', 'ipc', 'uts', 'cgroup'],
      evacuateCgroup2: 'evac',
      subIdSource: 'static',
      rootlesskit: { version: '3.2.0', sourceBackend: 'none' },
    });
  });

  it('accepts names of drivers that only RootlessKit has', () => {
    const chosen = (...args: string[]) => {
      const { options: parsed, warnings } = kit(...args, '--disable-host-loopback', 'true');
      const { net, portDriver, network, rootlesskit: face } = parsed;
      return { net, portDriver, mtu: network.mtu, network: face?.network, ports: face?.ports, warnings };
    };
    assert.deepEqual(chosen('--net=gvisor-tap-vsock', '--port-driver=gvisor-tap-vsock'), {
      ...{ net: 'auto', portDriver: 'builtin', mtu: 0, network: 'gvisor-tap-vsock', ports: 'gvisor-tap-vsock' },
      warnings: [],
    });
    assert.deepEqual(chosen('--net=pasta', '--port-driver=pesto'), {
      ...{ net: 'pasta', portDriver: 'builtin', mtu: 0, network: undefined, ports: 'pesto' },
      warnings: [],
    });
    const vpnkit = { portDriver: 'builtin', network: 'vpnkit', ports: undefined, warnings: [] };
    assert.deepEqual(chosen('--net=vpnkit', '--port-driver=builtin'), { ...vpnkit, net: 'auto', mtu: 1500 });
    assert.equal(chosen('--net=vpnkit', '--mtu=0x578').mtu, 1400);
    assert.throws(
      () => chosen('--port-driver=pesto'),
      /^UsageError: port driver "pesto" cannot be used with --net=host/,
    );
    assert.throws(
      () => chosen('--net=gvisor-tap-vsock', '--port-driver=slirp4netns'),
      /needs --net=slirp4netns, not --net=gvisor-tap-vsock/,
    );
  });

  it('joins ports that follow each other to ranges, but not any free ones', () => {
    const specs = [
      '8080:80',
      '8081:81',
      '8082:82/udp',
      '0:90',
      '0:91',
      '9000-9001:9000-9001',
      '9002:9002',
      '9004:9004',
    ];
    const words = specs.flatMap((spec) => ['-p', `127.0.0.1:${spec}`]);
    const { publish } = options(...words, 'true');
    assert.deepEqual(
      publish.map(({ host, transport, count }) => [transport, host.port, count]),
      [
        ['tcp', 8080, 2],
        ['udp', 8082, 1],
        ['tcp', 0, 1],
        ['tcp', 0, 1],
        ['tcp', 9000, 3],
        ['tcp', 9004, 1],
      ],
    );
  });

  it('publishes nothing by request where pasta publishes everything', () => {
    const { options: parsed, warnings } = kit(
      ...'--net=pasta --port-driver=implicit --disable-host-loopback -p 0.0.0.0:8080:80/tcp true'.split(' '),
    );
    assert.deepEqual(parsed.publish, []);
    assert.match(warnings.join(), /^--publish is ignored with --port-driver=implicit/);
    assert.throws(() => kit('--net=pasta', '--port-driver=implicit', '-p', 'bad', 'true'), /bad/);
    assert.match(problem('--net=pasta', '--port-driver=implicit', '-p', '1:1', 'true'), /does not support publishing/);
  });

  it("refuses options in the wording of Go's flag package, which scripts may match", () => {
    const refused = (...args: string[]) => {
      let message = '';
      assert.throws(
        () => kit(...args),
        (error: unknown) => {
          assert(error instanceof IncorrectUsageError);
          message = error.message;
          return true;
        },
      );
      return message;
    };
    assert.match(refused('--bogus', 'true'), /^flag provided but not defined: -bogus$/);
    assert.match(refused('--no-pidns', 'true'), /^flag provided but not defined: -no-pidns$/);
    assert.match(refused('---x', 'true'), /^bad flag syntax: ---x$/);
    assert.match(refused('--=x', 'true'), /^bad flag syntax: --=x$/);
    assert.match(refused('--pidns=maybe', 'true'), /^invalid boolean value "maybe" for -pidns: parse error$/);
    for (const word of ['--mtu', '-p']) assert.match(refused(word), /^flag needs an argument: -(mtu|p)$/);
    for (const mtu of ['1.5', '1e3', ' 1500', '08', '_1500', '1__500', '0x', 'big']) {
      assert.match(refused(`--mtu=${mtu}`, 'true'), /^invalid value "[^"]*" for flag -mtu: parse error; /, mtu);
    }
    assert.throws(() => kit('--mtu=-0x1', 'true'), /mtu must be <= 65521, got -1$/);
  });

  it('parses numbers as Go does', () => {
    for (const mtu of ['1500', '+1500', '0x5dc', '0X5_DC', '0b10111011100', '02734', '0o2734', '1_500']) {
      assert.equal(kit(`--mtu=${mtu}`, 'true').options.network.mtu, 1500, mtu);
    }
  });

  it('checks the switches of slirp4netns if it may be started', () => {
    const switches = ['--slirp4netns-sandbox=auto', '--slirp4netns-seccomp=true'];
    for (const net of ['slirp4netns', 'gvisor-tap-vsock']) {
      const { sandbox, seccomp } = kit(`--net=${net}`, ...switches, 'true').options.network.slirp4netns;
      assert.deepEqual([sandbox, seccomp], ['auto', 'on']);
      assert.throws(
        () => kit(`--net=${net}`, '--slirp4netns-sandbox=maybe', 'true'),
        /invalid --slirp4netns-sandbox "maybe"/,
      );
    }
    for (const net of ['host', 'none', 'pasta']) kit(`--net=${net}`, '--slirp4netns-sandbox=maybe', 'true');
  });

  it('begins a command with a dash, and cannot show help', () => {
    assert.deepEqual(kit('-', 'x').options.command, ['-', 'x']);
    assert.deepEqual(kit('--help=false', '--version=f', 'x').options.command, ['x']);
  });
});
