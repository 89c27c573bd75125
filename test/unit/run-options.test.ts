import assert from 'node:assert/strict';
import { parseCommandLine } from '../../bin/run-options.js';
import { NetworkError, UsageError } from '../../parent/errors.js';
import { PortSpecError } from '../../protocol/port-spec.js';

const options = (...args: string[]) => parseCommandLine(args).options;

/** What is wrong with a command line. */
function problem(...args: string[]): string {
  try {
    parseCommandLine(args);
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
      mtu: 0,
      cidr: '10.0.2.0/24',
      hostLoopback: false,
      ipv6: false,
      portDriver: 'builtin',
      publish: [],
      copyUp: ['/etc'],
      propagation: 'rprivate',
      namespaces: [],
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
    assert.equal(options('--mtu=1500', '--mtu=0', 'true').mtu, 0);
    assert.deepEqual(options('--pidns=true', '--utsns=0', 'true').namespaces, ['pid']);
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
    assert.match(problem('--propagation=rshared', 'true'), /copy-up/);
    assert.match(problem('--port-driver=none', '-p', '8080:80', 'true'), /port driver "none" does not support/);
    assert.match(problem('-p', 'bad', 'true'), /bad/);
    assert.match(problem('--publish'), /publish/);
    assert.match(problem('--pidns=maybe', 'true'), /pidns/);
  });
});
