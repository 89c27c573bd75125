/** The command of rootlessctl for the rate limit. */
import { Command } from 'commander';
import type { LimitReport } from '../../protocol/api/limit.js';
import { formatRateLimit, parseRateLimit } from '../../protocol/egress/rate-limit.js';
import { MAX_LINE, printable } from '../../protocol/text/printable-text.js';
import { printJSON, printLine } from '../common/print.js';
import type { ConnectStack } from './connection.js';

export function makeLimitCommand(stack: ConnectStack): Command {
  return new Command('limit')
    .description('show the rate limit of the stack, or change it (with --net=builtin)')
    .argument('[rate]', 'outgoing[:incoming] a second, such as 10M, 1.5MiB/s:800kbit, or unlimited')
    .option('--json', 'as JSON')
    .action(async (text: string | undefined, { json = false }: { json?: boolean }) => {
      // Checked here, so that an error names what was written.
      const wanted = text === undefined ? undefined : formatRateLimit(parseRateLimit(text, 'limit'));
      const client = await stack();
      const report = wanted === undefined ? await client.limit() : await client.setLimit(wanted);
      if (json) printJSON(report, 4);
      else printLine(printable(limitText(report), MAX_LINE));
    });
}

function limitText({ limit, dropped: { outgoing, incoming } }: LimitReport): string {
  const lost = outgoing + incoming === 0 ? '' : `; datagrams dropped: ${outgoing} outgoing, ${incoming} incoming`;
  return `${limit}${lost}`;
}
