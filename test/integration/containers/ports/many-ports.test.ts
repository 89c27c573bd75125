import assert from 'node:assert/strict';
import { run } from '../../../support/index.js';
import { busyboxRootfs, IDLE } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('very many published ports', () => {
  const stack = withContainerStack({ keep: true });
  const start = (...publish: string[]) => {
    const ports = publish.flatMap((text) => ['-p', text]);
    return stack.net('run', '-d', '--name', 'many', ...ports, '--rootfs', busyboxRootfs(), '--', ...IDLE);
  };

  it('can be free ones of the host, each for one of the container', async () => {
    const { code, stderr } = await start('127.0.0.3::20000-21499');
    const lines = stderr.trimEnd().split('\n');
    assert.deepEqual([code, lines.length], [0, 1500]);
    const published = lines.map((line) =>
      /^published 127\.0\.0\.3:(\d+) to (\d+)\/tcp$/.exec(line)?.slice(1).map(Number),
    );
    const inside = published.map((pair) => pair?.[1]);
    assert.deepEqual(
      inside,
      Array.from({ length: 1500 }, (_, index) => 20_000 + index),
    );
    const open = (await run('ss', ['-Hlnt', 'src', '127.0.0.3'])).stdout.match(/127\.0\.0\.3:\d+/g) ?? [];
    assert.equal(new Set(open).size, 1500);
    assert.deepEqual(new Set(open), new Set(published.map((pair) => `127.0.0.3:${pair?.[0]}`)));
    await stack.must('rm', '-f', 'many');
    assert.equal((await run('ss', ['-Hlnt', 'src', '127.0.0.3'])).stdout, '');
  });

  it('are refused in a line if they are not in ranges', async () => {
    const { code, stderr } = await start(
      ...Array.from({ length: 501 }, (_, index) => `127.0.0.3::${1000 + 2 * index}`),
    );
    assert.equal(code, 125);
    assert.match(
      stderr,
      /^error: 501 separate published ports are too many, at most 500 are allowed; publish ranges, .*\n$/,
    );
    assert.deepEqual(stack.files(), []);
  });
});
