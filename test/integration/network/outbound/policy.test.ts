import assert from 'node:assert/strict';
import { binPath, type RunningStack, waitFor } from '../../../support/index.js';
import { SITES } from '../../../support/stacks/internet.js';
import { ctlOnHost, onHost, resultsIn, startWithNames } from './named-hosts.js';

const { open, server } = SITES[4];
describe('an egress policy', () => {
  let stack: RunningStack;
  before(async () => {
    stack = await startWithNames('--allow', 'allowed.test', '--allow=*.wild.test:443', '--allow', `${server}:7`);
  });
  after(() => stack?.[Symbol.asyncDispose]());

  const results = (...calls: string[]) => resultsIn(stack, ...calls);

  it('allows names with their addresses, and addresses', async () => {
    assert.deepEqual(
      await results(
        "http('allowed.test', 'allowed.test')",
        "tls('allowed.test', 'allowed.test')",
        "tls('sub.wild.test', 'sub.wild.test')",
        `connect('${server}', 7, b'hello')`,
      ),
      ['HTTP/1.0 200 OK', 'answered', 'answered', 'hello'],
    );
  });

  it('denies all else, at once', async () => {
    assert.deepEqual(
      await results(
        "http('other.test', 'other.test')",
        "http('inside.test', 'inside.test')",
        "http('www.allowed.test', 'www.allowed.test')",
        "http('wild.test', 'wild.test')",
        `connect('${server}', 8)`,
        "connect('10.0.2.2', 80)",
        "connect('169.254.169.254', 80)",
        `connect('${SITES[6].server}', 7)`,
      ),
      [...Array(4).fill('no such name'), 'EHOSTUNREACH', 'ECONNREFUSED', 'EHOSTUNREACH', 'EACCES'],
    );
  });

  it('denies a name that shares the address of one that is allowed', async () => {
    await results("http('allowed.test', 'allowed.test')");
    assert.deepEqual(
      await results(
        `http('${open}', 'other.test')`,
        `tls('${open}', 'other.test')`,
        // What shows no name.
        `connect('${open}', 443, b'\\0hello')`,
        `tls('${open}', 'allowed.test')`,
      ),
      ['ECONNRESET', 'ECONNRESET', 'ECONNRESET', 'answered'],
    );
  });

  it('judges what begins as TLS or HTTP at any port for the web, also where it is malformed', async () => {
    await results("http('allowed.test', 'allowed.test')");
    assert.deepEqual(
      await results(
        `connect('${open}', 8080, b'GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n')`,
        `connect('${open}', 8080, b'GET / HTTP/1.1\\nHost: other.test\\n\\n')`,
        `connect('${open}', 8080, b'\\r\\nGET / HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n')`,
        `connect('${open}', 8080, b'\\x16\\x03\\x01\\x00\\x02\\x00\\x00')`,
        `connect('${open}', 8080, b'anything else\\n')`,
      ),
      ['HTTP/1.0 200 OK', 'ECONNRESET', 'ECONNRESET', 'ECONNRESET', 'HTTP/1.0 200 OK'],
    );
  });

  it('denies an address that is the host by a route alone', async () => {
    const address = '203.0.113.77';
    await ctlOnHost(stack, 'egress', 'allow', '203.0.113.0/24:9');
    await onHost(stack, 'ip', 'route', 'add', 'local', address, 'dev', 'lo');
    await waitFor(
      async () => {
        await results(`connect('${address}', 9)`);
        return stack.started.output().includes(`egress denied: tcp to ${address}:9: it is an address of the host`);
      },
      { what: 'a line of the log' },
    );
  });

  it('reports what it denies', async () => {
    await results("http('other.test', 'other.test')");
    await waitFor(() => /egress denied: the name other\.test: no rule allows it/.test(stack.started.output()), {
      what: 'a line of the log',
    });
    const { stdout } = await stack.ctl('egress', 'ls');
    assert.match(
      stdout,
      /^RULE +ALLOWED +DENIED +NAMES\s*\nallow allowed\.test .*\nallow \*\.wild\.test:443 .*\nallow 203\.0\.113\.1:7 /,
    );
    assert.match(stdout, /^deny \(default\) /m);
  });

  it('is changed from outside, and not from inside', async () => {
    const inside = await stack.enter(
      binPath('rootlessctl'),
      `--socket=${stack.stateDir}/api.sock`,
      'egress',
      'allow',
      'other.test',
    );
    assert.deepEqual(inside, {
      code: 1,
      signal: null,
      stdout: '',
      stderr: 'error: the egress policy can be changed from outside of the stack only\n',
    });
    const egress = (...words: string[]) => ctlOnHost(stack, 'egress', ...words);
    assert.equal((await egress('allow', 'other.test')).stderr, '');
    assert.deepEqual(await results("http('other.test', 'other.test')"), ['HTTP/1.0 200 OK']);
    assert.equal((await egress('rm', 'allow', 'other.test')).stderr, '');
    assert.deepEqual(await results("http('other.test', 'other.test')"), ['no such name']);
  });
});
