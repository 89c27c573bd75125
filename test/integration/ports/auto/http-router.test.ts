import assert from 'node:assert/strict';
import { binPath, freePort, run, startStack, waitFor } from '../../../support/index.js';
import { busyboxRootfs, startContainerStack, WEB } from '../../../support/stacks/containers.js';

describe('--http', () => {
  it('leads NAME.localhost to stacks and containers of the user, also to later ones', async () => {
    const port = await freePort('127.0.0.1');
    const name = `http-${process.pid}`;
    const get = async (host: string) => {
      const { stdout } = await run('curl', [
        '-s',
        '-m',
        '5',
        '--resolve',
        `${host}:${port}:127.0.0.1`,
        `http://${host}:${port}/`,
      ]);
      return stdout.trim();
    };
    const gives = (host: string, answer: RegExp) =>
      waitFor(async () => answer.test(await get(host)), { what: `${answer} at ${host}` });
    await using containers = await startContainerStack({ args: ['--net=none', `--http=${port}`] });
    await gives('localhost', /^there are/);
    await containers.must(
      'run',
      '-d',
      '--rm',
      '--name',
      `${name}.c`,
      '--hostname',
      'inside',
      '-p',
      'auto',
      '--rootfs',
      busyboxRootfs(),
      '--',
      ...WEB,
    );
    await gives(`${name}.c.localhost`, /^inside$/);
    await using stack = await startStack({
      args: ['--net=none', `--name=${name}`, `--http=127.0.0.1:${port}`],
      publish: ['auto'],
      command: [
        'python3',
        '-c',
        'import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=3000, bind="127.0.0.1")',
      ],
    });
    await gives(`${name}.localhost`, /Directory listing/);
    await gives(`3000.${name}.localhost`, /Directory listing/);
    assert.match(await get(`80.${name}.localhost`), /publishes no port 80; it has 3000$/);
    // The first stack had the port; the other one takes it over.
    assert.match(stack.started.output(), /is in use; --http takes it as soon as it is free/);
    await containers.started.stop();
    await gives(`${name}.localhost`, /Directory listing/);
    assert.match(await get(`${name}.c.localhost`), /^no stack or container/);
  });

  it('is refused where the address is wrong', async () => {
    for (const [value, problem] of [
      ['x', 'port "x" is not a number'],
      ['localhost:80', 'address "localhost" is not an IP address'],
      ['0', 'port 0 is not between 1 and 65535'],
      ['1:2:3', 'too many ports'],
      ['192.0.2.1:8080', '--http 192.0.2.1:8080: listen tcp 192.0.2.1:8080: bind: cannot assign requested address'],
    ]) {
      const { code, stderr } = await run(binPath('rootless-run'), [`--http=${value}`, '--', 'true']);
      assert.deepEqual([code, stderr.includes(problem ?? '')], [125, true], stderr);
    }
  });
});
