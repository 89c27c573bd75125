import assert from 'node:assert/strict';
import { binPath, freePort, run, tempDir } from '../../../support/index.js';
import { addressOf, busyboxRootfs, IDLE, onNetworks, startContainer } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('scripts written for docker', () => {
  const stack = withContainerStack();
  /** Runs a script in which `docker` is rootless-net. */
  const sh = async (script: string) => {
    const text = `set -eu; docker() { ${binPath('rootless-net')} "$@"; }\n${script}`;
    const { code, stdout, stderr } = await run('sh', ['-c', text], { env: stack.env });
    assert.deepEqual([code, stderr], [0, ''], script);
    return stdout;
  };
  const rootfs = () => `--rootfs ${busyboxRootfs()}`;
  const idle = `sh -c '${(IDLE[2] ?? '').replaceAll('"', '"')}'`;

  it('start, find, inspect and remove containers', async () => {
    const port = await freePort('127.0.0.2');
    const output = await sh(`
      docker network create back >/dev/null
      id=$(docker run -d --name web --label tier=front -p 127.0.0.2:${port}:80 --network name=back,alias=www ${rootfs()} -- ${idle})
      [ "$(docker ps -q --no-trunc --filter name=^web$)" = "$id" ]
      [ "$(docker ps -q)" = "$(echo $id | cut -c1-12)" ]
      docker inspect -f '{{.State.Running}} {{.State.Status}} {{.Config.Labels.tier}}' web
      docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$id"
      docker inspect -f '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}' web
      docker inspect -f '{{json .NetworkSettings.Networks.back.Aliases}}' web
      docker inspect --format json web | head -c 2; echo
      docker port web 80/tcp
      docker ps --filter label=tier=front --format 'table {{.Names}}\\t{{.Ports}}'
      docker ps --format '{{json .}}' | head -c 11; echo
      docker container ls --format '{{.Names}} {{.Networks}}'
      docker network inspect -f '{{range .Containers}}{{.Name}}{{end}}' back
      pid=$(docker inspect -f '{{.State.Pid}}' web); [ -d /proc/$pid ]
      docker stop -t 1 web
      [ -z "$(docker ps -q)" ]
      docker ps -aq --filter status=exited --filter exited=0 --format '{{.Names}}: {{.State}}'
      docker start web
      docker rm -f web
      docker network rm back
    `);
    assert.deepEqual(output.split('\n'), [
      'true running front',
      output.split('\n')[1],
      `${port}`,
      '["www"]',
      '[{',
      `127.0.0.2:${port}`,
      'NAMES     PORTS',
      `web       127.0.0.2:${port}->80/tcp`,
      '{"Command":',
      'web back',
      'web',
      'web',
      'web: exited',
      'web',
      'web',
      'back',
      '',
    ]);
    assert.match(output.split('\n')[1] ?? '', /^10\.4\.\d+\.2$/);
  });

  it('get what they print from one container among several, the newest first', async () => {
    for (const name of ['a', 'b', 'c']) await startContainer(stack, { name });
    await stack.must('stop', '-t', '1', 'b');
    const names = (...args: string[]) => stack.must('ps', '--format', '{{.Names}}', ...args);
    assert.equal(await names(), 'c\na');
    assert.equal(await names('-a'), 'c\nb\na');
    assert.equal(await names('-l'), 'c');
    assert.equal(await names('-n', '2'), 'c\nb');
    assert.equal(await names('--last=1', '--filter', 'since=a'), 'c');
    assert.equal(await names('--filter', 'status=exited'), 'b');
    const report = await stack.containers.inspect('a');
    assert.equal(
      await stack.must('inspect', '-f', '{{.Name}} {{.NetworkSettings.IPAddress}}', 'a', 'b'),
      `/a ${addressOf(report)}\n/b`,
    );
    assert.equal(JSON.parse(await stack.must('inspect', '--mode=native', 'a'))[0].id, report.id);
    assert.equal(JSON.parse(await stack.must('inspect', 'a'))[0].Id, report.id);
  });

  it('inspect by one command what has that name, a container first', async () => {
    await stack.must('network', 'create', 'both');
    await startContainer(stack, { name: 'c', network: onNetworks('both') });
    const driver = (...args: string[]) => stack.must('inspect', '-f', '{{.Driver}}', ...args);
    assert.equal(await driver('both', 'host', 'c'), 'bridge\nhost\nrootfs');
    await startContainer(stack, { name: 'both' });
    assert.equal(await driver('both'), 'rootfs');
    assert.equal(await driver('--type', 'network', 'both'), 'bridge');
    for (const [type, message] of [
      ['container', 'no such container: host'],
      ['network', 'no such network: c; rootless-net network ls shows them'],
    ] as const) {
      const { code, stdout, stderr } = await stack.net('inspect', '--type', type, type === 'network' ? 'c' : 'host');
      assert.deepEqual([code, stdout, stderr], [1, '[]\n', `error: ${message}\n`]);
    }
    const { stdout, stderr } = await stack.net('inspect', '-f', '{{.Id}}', 'both', 'nothing');
    assert.match(stdout, /^[0-9a-f]{64}\n$/);
    assert.equal(stderr, 'error: no such container: nothing\n');
  });

  it('report in one line what is wrong with a format, before anything is done', async () => {
    const env = { ...stack.env, XDG_RUNTIME_DIR: tempDir(), XDG_DATA_HOME: tempDir() };
    for (const [words, message] of [
      [['inspect', '-f', '{{.Foo', 'x'], 'invalid --format "{{.Foo": an action is not closed by }}'],
      [
        ['ps', '--format', '{{nope .ID}}'],
        /^invalid --format "\{\{nope \.ID\}\}": unknown function "nope"; known are and/,
      ],
      [['ps', '--filter', 'foo=bar'], /^invalid --filter "foo=bar": unknown filter foo; known are before, /],
      [['network', 'ls', '--filter', 'type=x'], 'invalid --filter "type=x": expected one of builtin, custom'],
      [['ps', '-n', 'many'], 'invalid --last "many": expected a number of containers'],
    ] as const) {
      const { code, stdout, stderr } = await run(binPath('rootless-net'), words, { env });
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      const line = stderr.replace(/^error: (.*)\n$/s, '$1');
      if (typeof message === 'string') assert.equal(line, message);
      else assert.match(line, message);
    }
    await startContainer(stack, { name: 'c' });
    const { stdout, stderr } = await stack.net('inspect', '-f', '{{.Foo}}', 'c');
    assert.equal(stdout, '');
    assert.match(stderr, /^error: invalid --format "\{\{\.Foo\}\}": unknown field \.Foo; known are Id, Created, .*\n$/);
  });

  it('see what the stack is, and remove what does not run', async () => {
    await startContainer(stack, { name: 'a' });
    const { id } = await stack.containers.create({ rootfs: busyboxRootfs(), command: IDLE, labels: { x: '' } });
    const info = '{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}} {{.ServerVersion}}';
    const version = await stack.must('version', '-f', '{{.Client.Version}}');
    assert.equal(await stack.must('info', '-f', info), `2 1 1 ${version}`);
    assert.equal(await stack.must('version', '--format', '{{.Server.Version}}'), version);
    assert.equal(await stack.must('container', 'prune', '-f', '--filter', 'label=y'), '');
    assert.equal(await stack.must('container', 'prune', '--filter', 'label=x'), id);
    assert.equal(await stack.must('container', 'ls', '-a', '--format', '{{.Names}}'), 'a');
    const { stdout, stderr } = await run(binPath('rootless-net'), ['info'], {
      env: { ...stack.env, XDG_RUNTIME_DIR: tempDir(), XDG_STATE_HOME: tempDir(), XDG_DATA_HOME: tempDir() },
    });
    assert.match(stdout, /^ServerErrors: no stack is running; it is started when needed$/m);
    assert.equal(stderr, '');
  });
});
