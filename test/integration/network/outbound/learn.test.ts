import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readEgressFile } from '../../../../protocol/egress/egress-file.js';
import { formatRule } from '../../../../protocol/egress/rule.js';
import { tempDir } from '../../../support/index.js';
import { SITES } from '../../../support/stacks/internet.js';
import { ctlOnHost, resultsIn, startWithNames } from './named-hosts.js';

const { open, server } = SITES[4];

describe('a run with --learn', () => {
  const file = join(tempDir(), 'rules');
  const calls = [
    "http('allowed.test', 'allowed.test')",
    "tls('sub.wild.test', 'sub.wild.test')",
    `connect('${server}', 7, b'hello')`,
    `connect('${SITES[6].server}', 7, b'hello')`,
    // Another server's name, such as by a hosts file.
    `http('${open}', 'elsewhere.test')`,
    "connect('missing.test', 80)",
  ];
  const results = ['HTTP/1.0 200 OK', 'answered', 'hello', 'hello', 'HTTP/1.0 200 OK', 'no such name'];

  it('allows everything, and writes the rules that it needed', async () => {
    await using stack = await startWithNames('--learn', file);
    assert.deepEqual(await resultsIn(stack, ...calls), results);
    const { stdout } = await stack.ctl('egress', 'ls');
    assert.match(stdout, /^everything is allowed; learned so far \(.*rules\):\n/);
    // Written with the request, so that a crash keeps it.
    const rules = [
      'allow dns:missing.test',
      `allow tcp:${open}:80`,
      `allow tcp:${server}:7`,
      `allow tcp:[${SITES[6].server}]:7`,
      'allow tcp:allowed.test:80',
      'allow tcp:sub.wild.test:443',
    ];
    assert.deepEqual(readEgressFile(file).map(formatRule).sort(), rules.sort());
    const { stderr } = await ctlOnHost(stack, 'egress', 'allow', 'a.test');
    assert.match(stderr, /^error: this stack records what its programs reach \(--learn\)/);
    await resultsIn(stack, "tls('allowed.test', 'allowed.test')");
  });

  it('needs no more than them', async () => {
    await using stack = await startWithNames('--egress-file', file);
    assert.deepEqual(await resultsIn(stack, ...calls), results);
    assert.deepEqual(
      await resultsIn(
        stack,
        // Learned after the last request, and written at the end.
        "tls('allowed.test', 'allowed.test')",
        `connect('${open}', 8080, b'x')`,
        "http('other.test', 'other.test')",
        `connect('${server}', 8)`,
      ),
      ['answered', 'EHOSTUNREACH', 'no such name', 'EHOSTUNREACH'],
    );
  });
});
