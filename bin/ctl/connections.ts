/** `rootlessctl connections`: who talks to whom, in both directions. */
import { Command } from 'commander';
import type { Flow } from '../../protocol/api/types.js';
import { printJSON } from '../common/print.js';
import { formatColumns } from '../common/table.js';
import type { ConnectStack } from './connection.js';
import { ageText, bytesText, whoText } from './flow-text.js';
import { maxOption, noteMore, parseMax } from './flows.js';

const HEADER = ['PROTO', 'FROM', 'TO', 'VIA', 'AGE', 'SENT', 'RECEIVED', 'STATE', 'SOURCE ADDRESS'];

export function makeConnectionsCommand(stack: ConnectStack): Command {
  return new Command('connections')
    .description(
      'list who talks to whom: open connections and UDP flows, through published ports and out of the namespaces',
    )
    .addOption(maxOption())
    .option('--json', 'one JSON object per line')
    .action(async ({ json = false, max }: { json?: boolean; max: string }) => {
      const limit = parseMax(max);
      const flows = await (await stack()).flows({ limit });
      if (json) for (const flow of flows) printJSON(flow);
      else process.stdout.write(connectionTable(flows, Date.now()));
      noteMore(flows, limit);
    });
}

/** @param now in ms since the epoch */
export function connectionTable(flows: readonly Flow[], now: number): string {
  const rows = flows.map((flow) => {
    const { protocol, bytesSent, bytesReceived, since, state = 'open' } = flow;
    const counts = [bytesSent, bytesReceived].map(bytesText);
    return [protocol, ...endsOf(flow), ageText(now - since), ...counts, state, sourceText(flow)];
  });
  return formatColumns([HEADER, ...rows]);
}

/** From, to, and by way of: the published address, or where a destination led on the host. */
function endsOf(flow: Flow): [string, string, string] {
  const { direction, client, destination, host, name } = flow;
  const who = whoText(flow);
  if (direction === 'in') return [client, who === '' ? destination : `${who} ${destination}`, host];
  const to = name === undefined ? destination : `${name} (${destination})`;
  return [who === '' ? client : `${who} ${client}`, to, host === destination ? '' : host];
}

/** Whether a server inside sees who the client is. */
function sourceText({ source }: Flow): string {
  if (source === undefined) return '';
  return source === 'client' ? 'kept' : 'not kept';
}
