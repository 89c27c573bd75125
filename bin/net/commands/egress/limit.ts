/** `limit`: how much containers may send and receive. */
import { Command } from 'commander';
import { formatRateLimit, parseRateLimit } from '../../../../protocol/egress/rate-limit.js';
import { printJSON, printLine } from '../../../common/print.js';
import { limitText } from '../../../ctl/limit.js';
import type { NetDeps } from '../../deps.js';

export function makeLimitCommand({ stack }: NetDeps): Command {
  return new Command('limit')
    .description('show the rate limit of a container, or change it')
    .argument('<container>', 'container')
    .argument('[rate]', 'outgoing[:incoming] a second, such as 10M, 1.5MiB/s:800kbit, or unlimited')
    .option('--json', 'as JSON')
    .action(async (name: string, text: string | undefined, { json = false }: { json?: boolean }) => {
      const wanted = text === undefined ? undefined : formatRateLimit(parseRateLimit(text, 'limit'));
      const client = await stack.connectForExisting('container', [name]);
      const report = wanted === undefined ? await client.limit(name) : await client.setLimit(name, wanted);
      if (json) printJSON(report, 4);
      else printLine(limitText(report));
    });
}
