/** `gc`, and `oci-hook` for OCI runtimes. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { OCI_HOOK } from '../../../native/index.js';
import { defaultStateDir } from '../../../parent/state/user-directories.js';
import { statePath } from '../../../protocol/state/state-layout.js';
import { printJSON, printLine } from '../../common/print.js';
import { withProgress } from '../../stack/progress.js';
import type { NetDeps } from '../deps.js';

export function makeGcCommand({ stack }: NetDeps): Command {
  return new Command('gc')
    .description('compare the journal, the kernel and the running containers, and show the differences')
    .option('--repair', 'remove what is left over, and restore what is missing')
    .action(async ({ repair = false }: { repair?: boolean }) => {
      const containers = await stack.connect();
      const found = await withProgress('comparing', containers.gc({ repair }));
      for (const { kind, what, repaired } of found) printLine(`${kind}: ${what}${repaired ? ' (repaired)' : ''}`);
      if (found.length === 0) printLine('nothing is left over');
      else if (!repair) printLine('hint: repair it with: rootless-net gc --repair');
      if (found.some(({ repaired }) => repair && !repaired)) process.exitCode = 1;
    });
}

export function makeOciHookCommand(_deps: NetDeps): Command {
  return new Command('oci-hook')
    .description(
      'hook for callers of runc, crun or containerd: createRuntime, poststop; or `config` to print the entries for config.json',
    )
    .argument('<event>')
    .action(async (event: string, _options: object, command: Command) => {
      const { stateDir } = command.optsWithGlobals<{ stateDir?: string }>();
      const socket = stateDir === undefined ? [] : [statePath(resolve(stateDir), 'agentSocket')];
      if (event === 'config') {
        const agent =
          socket[0] ?? statePath(resolve(process.env.ROOTLESSKIT_STATE_DIR || defaultStateDir()), 'agentSocket');
        const hook = (name: string) => [{ path: OCI_HOOK, args: ['oci_hook', name, agent] }];
        printJSON({ hooks: { createRuntime: hook('createRuntime'), poststop: hook('poststop') } }, 4);
        return;
      }
      const { status } = spawnSync(OCI_HOOK, [event, ...socket], { stdio: 'inherit' });
      process.exitCode = status ?? 1;
    });
}
