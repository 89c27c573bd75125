import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DocBlock, docBlocks, docPages } from '../../support/doc-blocks.js';
import { binPath, run, start, tempDir } from '../../support/index.js';
import { makeBusyboxRootfs, startContainerStack } from '../../support/stacks/containers.js';

const blocks = docPages.flatMap(docBlocks);

/** Where a reader would run the commands: an empty home directory, and our commands in PATH. */
function surroundings(home = tempDir()): { cwd: string; env: Record<string, string> } {
  const programs = tempDir();
  for (const name of ['rootless-run', 'rootless-net', 'rootlessctl', 'rootlesskit'] as const) {
    symlinkSync(binPath(name), join(programs, name));
  }
  const runtime = join(home, 'run');
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  return { cwd: home, env: { HOME: home, XDG_RUNTIME_DIR: runtime, PATH: `${programs}:${process.env.PATH}` } };
}

const script = (commands: readonly string[]) => ['--norc', '-euo', 'pipefail', '-c', commands.join('\n')];

/** A root file system whose servers are stand-ins that answer on their ports. */
function rootfsWithServers(): string {
  const root = makeBusyboxRootfs(tempDir());
  const server = (name: string, port: number) => {
    const path = join(root, 'bin', name);
    writeFileSync(path, `#!/bin/sh\necho ${name} > /tmp/index.html\nexec httpd -f -p ${port} -h /tmp\n`);
    chmodSync(path, 0o755);
  };
  server('nginx', 80);
  server('redis-server', 6379);
  return root;
}

async function succeeds(
  block: DocBlock,
  program: string,
  args: readonly string[],
  options: ReturnType<typeof surroundings>,
) {
  const { code, stdout, stderr } = await run(program, args, options);
  assert.equal(code, 0, `${block.page}:${block.line}\n${stdout}${stderr}`);
}

/** Runs the first command in the background, and the others until they succeed. */
async function serves(block: DocBlock, where: ReturnType<typeof surroundings>): Promise<void> {
  const [first = '', ...rest] = block.commands;
  let last = '';
  try {
    await using server = await start('bash', ['--norc', '-c', `exec ${first}`], {
      ...where,
      ready: {
        check: async () => {
          const { code, stdout, stderr } = await run('bash', script(rest), where);
          last = stdout + stderr;
          return code === 0;
        },
      },
    });
    const { code, signal } = await server.stop();
    assert([0, 128 + 15].includes(code ?? 128 + 15), `it ended with ${code ?? signal}`);
  } catch (error) {
    throw new Error(`${block.page}:${block.line}: ${(error as Error).message}\n${last}`, { cause: error });
  }
}

async function besideContainers(block: DocBlock, driver: string): Promise<void> {
  await using stack = await startContainerStack({ args: [`--net=${driver}`] });
  symlinkSync(rootfsWithServers(), join(stack.home, 'rootfs'));
  const where = surroundings(stack.home);
  await succeeds(block, 'bash', script(block.commands), { ...where, env: { ...where.env, ...stack.env } });
}

/** Where Debian has dockerd-rootless.sh. */
const DOCKER_SCRIPTS = '/usr/share/docker.io/contrib';

const runs: Record<DocBlock['kind'], (block: DocBlock) => Promise<void>> = {
  script: (block) => succeeds(block, 'bash', script(block.commands), surroundings()),

  server: (block) => serves(block, surroundings()),

  async stack(block) {
    const inside = ['--net=slirp4netns', '--', 'bash', ...script(block.commands)];
    await succeeds(block, binPath('rootless-run'), inside, surroundings());
  },

  containers: (block) => besideContainers(block, 'slirp4netns'),

  'builtin-containers': (block) => besideContainers(block, 'builtin'),

  async docker(block) {
    const { cwd, env } = surroundings();
    try {
      await serves(block, { cwd, env: { ...env, PATH: `${env.PATH}:${DOCKER_SCRIPTS}` } });
    } finally {
      // Files of sub-ids.
      await run(binPath('rootlesskit'), ['rm', '-rf', cwd]);
    }
  },
};

describe('the commands of the documentation', () => {
  it('are found', () => assert(blocks.length > 0));

  for (const block of blocks) {
    it(`work: ${block.page}, line ${block.line} (${block.kind})`, () => runs[block.kind](block));
  }
});
