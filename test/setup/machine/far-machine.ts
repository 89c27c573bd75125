import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What is at the other end of a cable is a network namespace too; these are the addresses of both ends. */
export const near = { v4: '10.125.0.1', v6: 'fd00:125::1' } as const;
export const far = {
  v4: ['10.125.0.2', '10.125.0.3', '10.125.0.4'],
  v6: ['fd00:125::2', 'fd00:125::3', 'fd00:125::4'],
} as const;

function command(program: string, ...args: string[]): void {
  const result = spawnSync(program, args, { encoding: 'utf8' });
  if (result.status !== 0)
    throw new Error(`${program} ${args.join(' ')} failed: ${result.stderr || result.error?.message}`);
}

/**
 * Makes a network namespace that is to this one what another machine would be, and starts what runs programs there, as
 * the user (programs/starter.ts, at `socket`). It is to be killed at the end.
 */
export async function makeFarMachine(
  user: string,
  { node, root, socket, path }: { node: string; root: string; socket: string; path: string },
): Promise<ChildProcess> {
  const starter = [node, join(root, 'dist', 'test', 'programs', 'starter.js'), 'serve', socket];
  const drop = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', '--inh-caps=-all'];
  const script = 'echo made; read -r _ && exec "$@"';
  const child = spawn(
    'unshare',
    ['--net', 'sh', '-c', script, 'sh', ...drop, 'env', '-i', `PATH=${path}`, ...starter],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  const inside = (...args: string[]) => command('nsenter', `--net=/proc/${child.pid}/ns/net`, 'ip', ...args);
  command('ip', 'link', 'add', 'near0', 'type', 'veth', 'peer', 'name', 'far0', 'netns', String(child.pid));
  command('ip', 'addr', 'add', `${near.v4}/24`, 'dev', 'near0');
  command('ip', 'addr', 'add', `${near.v6}/64`, 'dev', 'near0', 'nodad');
  command('ip', 'link', 'set', 'near0', 'up');
  for (const ip of far.v4) inside('addr', 'add', `${ip}/24`, 'dev', 'far0');
  for (const ip of far.v6) inside('addr', 'add', `${ip}/64`, 'dev', 'far0', 'nodad');
  inside('link', 'set', 'lo', 'up');
  inside('link', 'set', 'far0', 'up');
  inside('route', 'add', 'default', 'via', near.v4);
  child.stdin.end('\n');
  await once(child.stdout, 'data');
  return child;
}
