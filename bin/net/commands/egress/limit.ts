/** `limit`: how much containers may send and receive. */
import { Command } from 'commander';
import { LIMIT_ARGUMENT, showLimit } from '../../../ctl/limit.js';
import type { NetDeps } from '../../deps.js';

export function makeLimitCommand({ stack }: NetDeps): Command {
  return new Command('limit')
    .description('show the rate limit of a container, or change it')
    .argument('<container>', 'container')
    .argument(...LIMIT_ARGUMENT)
    .option('--json', 'as JSON')
    .action((name: string, text: string | undefined, { json }: { json?: boolean }) =>
      showLimit(text, json, async (wanted) => {
        const client = await stack.connectForExisting('container', [name]);
        return wanted === undefined ? client.limit(name) : client.setLimit(name, wanted);
      }),
    );
}
