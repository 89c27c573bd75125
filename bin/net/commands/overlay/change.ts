/** `overlay rotate`, `expel`, `leave` and `rm`. */
import { Command } from 'commander';
import { printErrorLine, printLine } from '../../../common/print.js';
import type { NetDeps } from '../../deps.js';
import { overlayClient } from './client.js';

interface LeaveOptions {
  force?: boolean;
}

export function makeRotateCommand(deps: NetDeps): Command {
  return new Command('rotate')
    .description('replace the key of this host now (done automatically every 30 days)')
    .argument('<name>')
    .action(async (name: string) => (await overlayClient(deps)).rotate(name));
}

export function makeExpelCommand(deps: NetDeps): Command {
  return new Command('expel')
    .description('expel another host, which cannot rejoin with its key')
    .argument('<name>')
    .argument('<host>', 'name or id of the host, as in overlay status')
    .action(async (name: string, host: string) => {
      const client = await overlayClient(deps);
      printLine(await client.expel(name, host));
      const report = await client.report(name);
      if (report.mode === 'static') printErrorLine('only this host no longer knows it; expel it on the others, too');
    });
}

export function makeLeaveCommand(deps: NetDeps): Command {
  return new Command('leave')
    .description('leave an overlay network that no container here uses')
    .argument('<name>')
    .option('-f, --force', 'even if etcd does not answer')
    .action(async (name: string, { force = false }: LeaveOptions) => {
      await (await overlayClient(deps)).leave(name, { force });
      printLine(name);
    });
}

export function makeRmCommand(deps: NetDeps): Command {
  return new Command('rm')
    .alias('remove')
    .description('leave an overlay network, and remove it from etcd')
    .argument('<name>')
    .option('-f, --force', 'even if it has other members, or etcd does not answer')
    .action(async (name: string, { force = false }: LeaveOptions) => {
      await (await overlayClient(deps)).leave(name, { remove: true, force });
      printLine(name);
    });
}
