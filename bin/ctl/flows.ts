/** `rootlessctl flows`: open connections and UDP flows, and with -f those that begin and end from then on. */
import { Command, Option } from 'commander';
import type { StackClient } from '../../parent/client/stack-client.js';
import { UsageError } from '../../parent/errors.js';
import type { Flow, StackEvent } from '../../protocol/api/types.js';
import { printErrorLine, printJSON, printLine } from '../common/print.js';
import { type ConnectStack, untilInterrupted } from './connection.js';
import { deniedLine, flowLine, flowTable } from './flow-text.js';

/** Shortest time between two requests for the list, which has the programs, in ms. */
const LIST_INTERVAL_MS = 250;
/** As many as the API lists. */
const MAX_FLOWS = 100_000;

export function makeFlowsCommand(stack: ConnectStack): Command {
  return new Command('flows')
    .description('list connections out of the namespaces (with --net=builtin), and those of published ports')
    .option('-f, --follow', 'then print connections as they are opened and closed, until the stack ends')
    .addOption(maxOption())
    .option('--json', 'one JSON object per line')
    .action(async ({ follow = false, json = false, max }: { follow?: boolean; json?: boolean; max: string }) => {
      const limit = parseMax(max);
      const client = await stack();
      const flows = await client.flows({ limit });
      if (json) for (const flow of flows) printJSON(follow ? { change: 'open', ...flow } : flow);
      else process.stdout.write(flowTable(flows, Date.now()));
      noteMore(flows, limit);
      if (!follow) return;
      const signal = untilInterrupted();
      const print = (change: string, flow: Flow, time: number) =>
        json ? printJSON({ change, time, ...flow }) : printLine(flowLine(change, flow, time));
      const denied = (event: Denied) =>
        json
          ? printJSON({ change: 'denied', verdict: 'denied', direction: 'out', ...event })
          : printLine(deniedLine(event));
      await followFlows(client, { flows, print, denied, signal });
    });
}

export function maxOption(): Option {
  return new Option('--max <number>', 'list at most this many of each direction, oldest first').default('1000');
}

/** Throws UsageError. */
export function parseMax(text: string): number {
  const max = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (max < 1 || max > MAX_FLOWS) {
    throw new UsageError(`invalid --max ${JSON.stringify(text)}: expected a number from 1 to ${MAX_FLOWS}`);
  }
  return max;
}

/** That there are more connections than are listed, for standard error. */
export function noteMore(flows: readonly Flow[], max: number): void {
  const isFull = (['in', 'out'] as const).some((wanted) => count(flows, wanted) >= max);
  if (isFull) printErrorLine(`at most ${max} of each direction are listed, the oldest; --max lists more`);
}

function count(flows: readonly Flow[], wanted: Flow['direction']): number {
  return flows.filter(({ direction }) => direction === wanted).length;
}

interface Following {
  /** That are open now. */
  flows: readonly Flow[];
  print: (change: 'opened' | 'closed', flow: Flow, time: number) => void;
  /** What the egress policy denies. */
  denied: (event: Denied) => void;
  signal: AbortSignal;
}

/** Throws EventStreamError. */
export async function followFlows(client: StackClient, { flows, print, denied, signal }: Following): Promise<void> {
  const open = new Map(flows.map((flow) => [flow.connection, flow]));
  let listed = Date.now();
  for await (const event of client.events({ signal })) {
    if (event.type === 'outbound-opened' || event.type === 'connection-opened') {
      // Events do not have the program, and it is too late to look for it when the connection is closed.
      if (!open.has(event.connection) && Date.now() - listed >= LIST_INTERVAL_MS) {
        for (const flow of await client.flows()) open.set(flow.connection, flow);
        listed = Date.now();
      }
      const flow = open.get(event.connection) ?? flowOf(event);
      open.set(event.connection, flow);
      print('opened', flow, event.time);
    } else if (event.type === 'egress-denied') {
      denied(event);
    } else if (event.type === 'outbound-closed' || event.type === 'connection-closed') {
      const flow = open.get(event.connection) ?? ('client' in event ? flowOf(event) : undefined);
      open.delete(event.connection);
      if (flow) print('closed', { ...flow, ...finalCounts(event) }, event.time);
    }
  }
}

type Denied = Extract<StackEvent, { type: 'egress-denied' }>;
type Begun = Extract<StackEvent, { type: 'outbound-opened' | 'outbound-closed' | 'connection-opened' }>;
type Ended = Extract<StackEvent, { type: 'outbound-closed' | 'connection-closed' }>;

/** What an event has of a flow. */
function flowOf(event: Begun): Flow {
  const { connection, client, time } = event;
  const counts = { bytesSent: 0, bytesReceived: 0, since: time, verdict: 'allowed' } as const;
  if (event.type === 'connection-opened') {
    // Earlier versions of the API do not name it.
    const { port, protocol = 'tcp' } = event;
    return { protocol, direction: 'in', connection, port, client, destination: '', host: '', ...counts };
  }
  const { protocol, destination, host, name } = event;
  return {
    protocol,
    direction: 'out',
    connection,
    client,
    destination,
    host,
    ...(name !== undefined && { name }),
    ...counts,
  };
}

function finalCounts(event: Ended): Pick<Flow, 'bytesSent' | 'bytesReceived'> {
  if (event.type === 'connection-closed') return { bytesSent: event.bytesOut, bytesReceived: event.bytesIn };
  return { bytesSent: event.bytesSent, bytesReceived: event.bytesReceived };
}
