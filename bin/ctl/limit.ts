/** The command of rootlessctl for rate limits. */
import { Command } from 'commander';
import { UsageError } from '../../parent/errors.js';
import type { LimitReport } from '../../protocol/api/limit.js';
import { formatRateLimit, parseRateLimit } from '../../protocol/egress/rate-limit.js';
import { MAX_LINE, printable } from '../../protocol/text/printable-text.js';
import { printJSON, printLine } from '../common/print.js';
import type { ConnectStack } from './connection.js';

export function makeLimitCommand(stack: ConnectStack): Command {
  const command = new Command('limit')
    .description('show the rate limit of the stack or of a port, or change it (with --net=builtin)')
    .argument(...LIMIT_ARGUMENT)
    .option('--port <id>', 'of one published port: its ID, as listed by list-ports', parseId)
    .option('--json', 'as JSON');
  return command.action((text: string | undefined, { json, port }: { json?: boolean; port?: number }) =>
    showLimit(text, json, async (wanted) => {
      const client = await stack();
      return wanted === undefined ? client.limit(port) : client.setLimit(wanted, port);
    }),
  );
}

export const LIMIT_ARGUMENT = [
  '[rate]',
  'outgoing[:incoming] a second, such as 10M, 1.5MiB/s:800kbit, or unlimited',
] as const;

/**
 * Shows a limit, which is changed first where one is given.
 * @param limit reads it, or changes it to what was given
 */
export async function showLimit(
  text: string | undefined,
  json: boolean | undefined,
  limit: (wanted: string | undefined) => Promise<LimitReport>,
): Promise<void> {
  // Checked here, so that an error names what was written.
  const report = await limit(text === undefined ? undefined : formatRateLimit(parseRateLimit(text, 'limit')));
  if (json) printJSON(report, 4);
  else printLine(limitText(report));
}

/** One line for the user. */
function limitText({ limit, dropped: { outgoing, incoming } }: LimitReport): string {
  const lost = outgoing + incoming === 0 ? '' : `; datagrams dropped: ${outgoing} outgoing, ${incoming} incoming`;
  return printable(`${limit}${lost}`, MAX_LINE);
}

function parseId(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(`invalid ID ${JSON.stringify(text)}: expected a number, as listed by list-ports`);
}
