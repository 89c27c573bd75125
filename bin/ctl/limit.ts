/** The command of rootlessctl for rate limits. */
import { Command } from 'commander';
import { UsageError } from '../../parent/errors.js';
import type { LimitReport } from '../../protocol/api/limit.js';
import { formatRateLimit, parseRateLimit } from '../../protocol/egress/rate-limit.js';
import { MAX_LINE, printable } from '../../protocol/text/printable-text.js';
import { printJSON, printLine } from '../common/print.js';
import type { ConnectStack } from './connection.js';

export function makeLimitCommand(stack: ConnectStack): Command {
  return new Command('limit')
    .description('show the rate limit of the stack or of a port, or change it (with --net=builtin)')
    .argument('[rate]', 'outgoing[:incoming] a second, such as 10M, 1.5MiB/s:800kbit, or unlimited')
    .option('--port <id>', 'of one published port: its ID, as listed by list-ports', parseId)
    .option('--json', 'as JSON')
    .action(async (text: string | undefined, { json = false, port }: { json?: boolean; port?: number }) => {
      // Checked here, so that an error names what was written.
      const wanted = text === undefined ? undefined : formatRateLimit(parseRateLimit(text, 'limit'));
      const client = await stack();
      const report = wanted === undefined ? await client.limit(port) : await client.setLimit(wanted, port);
      if (json) printJSON(report, 4);
      else printLine(limitText(report));
    });
}

/** One line for the user. */
export function limitText({ limit, dropped: { outgoing, incoming } }: LimitReport): string {
  const lost = outgoing + incoming === 0 ? '' : `; datagrams dropped: ${outgoing} outgoing, ${incoming} incoming`;
  return printable(`${limit}${lost}`, MAX_LINE);
}

function parseId(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(`invalid ID ${JSON.stringify(text)}: expected a number, as listed by list-ports`);
}
