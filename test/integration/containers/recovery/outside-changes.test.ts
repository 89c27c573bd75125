import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { accepts, freePort, isAlive, processInfo, tempDir, waitFor } from '../../../support/index.js';
import {
  type ContainerStack,
  execIn,
  kill,
  startContainer,
  startContainerStack,
} from '../../../support/stacks/containers.js';

describe('a container whose monitor is killed', () => {
  it('is seen to end all the same', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const port = await freePort('127.0.0.2');
    const publish = [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' as const }];
    const { name, pid = 0 } = await startContainer(stack, { publish });
    const monitor = processInfo(pid)?.ppid ?? assert.fail('the container has no monitor');
    assert.equal(processInfo(monitor)?.comm, 'container-mon');
    kill(monitor);
    await waitFor(() => !isAlive(monitor), { what: 'the end of the monitor' });
    kill(pid);
    assert.equal(await stack.containers.wait(name), null);
    assert.equal((await stack.containers.inspect(name)).status, 'exited');
    assert.equal(await accepts('127.0.0.2', port), false);
  });
});

describe('a container whose network cannot be removed', () => {
  it('ends and is removed, and gc takes the network away when it can be', async () => {
    const plugins = tempDir();
    const broken = join(plugins, 'broken');
    const script = `#!/bin/sh
case $CNI_COMMAND in
ADD) cat >/dev/null; echo '{"cniVersion":"1.0.0"}' ;;
DEL) cat >/dev/null; [ ! -e ${broken} ] || { echo '{"code":100,"msg":"not now"}'; exit 1; } ;;
esac
`;
    writeFileSync(join(plugins, 'stubborn'), script, { mode: 0o755 });
    await using stack: ContainerStack = await startContainerStack({ env: { CNI_PATH: plugins } });
    mkdirSync(stack.confDir, { recursive: true });
    const list = { cniVersion: '1.0.0', name: 'other', plugins: [{ type: 'stubborn' }] };
    writeFileSync(join(stack.confDir, 'other.conflist'), JSON.stringify(list));

    const network = { mode: 'networks' as const, networks: [{ network: 'other' }] };
    const { name } = await startContainer(stack, { network });
    writeFileSync(broken, '');
    await stack.containers.stop(name);
    assert.equal((await stack.containers.inspect(name)).status, 'exited');
    const { code, stderr } = await stack.net('rm', name);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: cannot detach \w+ from its networks: .*not now.*; rm --force removes it nevertheless\n$/,
    );
    await stack.must('rm', '-f', name);
    assert.equal(await stack.must('ps', '-aq'), '');
    assert.match(await stack.must('gc'), /^attachment: /);
    rmSync(broken);
    await stack.must('gc', '--repair');
    assert.equal(await stack.must('gc'), 'nothing is left over');
    assert.deepEqual(stack.files(), []);
  });
});

describe('a bridge that another process removed', () => {
  it('is made again for the next container', async () => {
    await using stack: ContainerStack = await startContainerStack();
    await startContainer(stack);
    assert.equal((await stack.enter(['ip', 'link', 'del', 'rootless0'])).code, 0);
    await startContainer(stack, { name: 'next' });
    assert.match(await execIn(stack, 'next', 'ping', '-c', '1', '10.4.0.1'), /1 packets received/);
  });
});

describe('an agent that cannot use the directory of containers', () => {
  it('reports it, and recovers when that is repaired', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const { name } = await startContainer(stack);
    const directory = join(stack.dataDir, 'containers');
    renameSync(directory, `${directory}.away`);
    writeFileSync(directory, '');
    stack.agents().forEach(kill);
    const problem = () => stack.containers.list().then(() => '', errorText);
    await waitFor(async () => /containers: it is not a directory/.test(await problem()), { what: 'a refusal' });
    rmSync(directory);
    renameSync(`${directory}.away`, directory);
    const list = await waitFor(() => stack.containers.list(), { what: 'the list of containers' });
    assert.deepEqual(
      list.map((report) => [report.name, report.status]),
      [[name, 'running']],
    );
  });
});
