import assert from 'node:assert/strict';
import type { Finding } from '../../../parent/doctor/index.js';
import { run } from '../../support/index.js';
import { pathWith, runNested, runWords } from '../../support/stacks/rootless-run.js';

const [program, ...words] = runWords('doctor');

describe('rootless-run doctor', () => {
  it('finds what works here, in lines and as JSON', async () => {
    const { code, stdout, stderr } = await run(program, words);
    assert.deepEqual([code, stderr], [0, ''], stdout);
    assert.match(stdout, /^ok +user-namespaces +user, mount and network namespaces can be made$/m);
    assert.match(stdout, /^ok +builtin-network +the network driver builtin works$/m);
    assert.match(stdout, /^ok +slirp4netns +slirp4netns version \d/m);
    for (const line of stdout.trimEnd().split('\n')) assert.match(line, /^(ok|warning|FAILED) |^ {2}fix: |^ {7}/);
    const json = await run(program, [...words, '--json']);
    const findings: Finding[] = JSON.parse(json.stdout);
    for (const { name, status } of findings) assert.match(stdout, new RegExp(`^${status} +${name} `, 'm'));
  });

  it('reports what to install', async () => {
    const { code, stdout } = await run(program, words, { env: { PATH: pathWith(['sh']) } });
    assert.equal(code, 0);
    assert.match(stdout, /^warning +newuidmap +newuidmap is not installed.*\n {2}fix: sudo apt-get install uidmap$/m);
    assert.match(stdout, /^ok +slirp4netns .*; builtin is used\n {2}fix: sudo apt-get install slirp4netns$/m);
  });

  it('fails where namespaces cannot be created, with a hint', async () => {
    const script = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"';
    const { code, stdout } = await runNested(script, [program, ...words]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^FAILED +user-namespaces .*max_net_namespaces.*\n {2}fix: sudo sysctl -w user\.max_net_namespaces=/m,
    );
  });

  it('refuses what it does not know, and lets a command of its name be run', async () => {
    const { code, stderr } = await run(program, [...words, '--jsn']);
    assert.deepEqual(
      [code, stderr],
      [125, "rootless-run: error: unknown option '--jsn' (Did you mean --json?); hint: rootless-run doctor --help\n"],
    );
    const [, ...rest] = runWords('--net=none', '--', 'doctor');
    assert.equal((await run(program, rest)).code, 127);
  });
});
