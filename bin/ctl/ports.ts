/** The commands of rootlessctl for ports. */
import { Command } from 'commander';
import { APIError } from '../../parent/client/errors.js';
import type { StackClient } from '../../parent/client/stack-client.js';
import { UsageError } from '../../parent/errors.js';
import { formatPortMapping, parsePortSpec } from '../../protocol/ports/grammar.js';
import { type PortMapping, part } from '../../protocol/ports/port-mapping.js';
import { parsePortSpecJSON, portSpecOf, portStatuses } from '../../protocol/ports/rootlesskit-json.js';
import { printErrorLine, printJSON, printLine } from '../common/print.js';
import type { ConnectStack } from './connection.js';
import { portTable } from './stack-text.js';

export function makeListPortsCommand(stack: ConnectStack): Command {
  return new Command('list-ports')
    .description('list the published ports')
    .option('--json', 'one JSON object per line')
    .option('--counters', 'with connections and bytes since the port was added')
    .action(async ({ json = false, counters = false }: { json?: boolean; counters?: boolean }) => {
      const ports = await (await stack()).listPorts({ counters });
      if (json) for (const port of ports) printJSON(port);
      else process.stdout.write(portTable(ports, { counters }));
    });
}

export function makeAddPortsCommand(stack: ConnectStack): Command {
  return new Command('add-ports')
    .description('publish ports: [parentIP:]parentPort:[childIP:]childPort[/proto]')
    .argument(
      '[spec...]',
      'such as 127.0.0.2:8080:80/tcp, [::1]:8080:80, 8000-8010:8000-8010/udp, 0:80 for any free port',
    )
    .option('--json', 'one JSON object per line instead of the IDs')
    .option('--persist', 'publish them again at each start of the stack (with rootless-run serve)')
    .action(async (texts: string[], { json = false, persist = false }: { json?: boolean; persist?: boolean }) => {
      if (texts.length === 0) throw new UsageError('no port specified');
      const mappings = texts.map(parsePortSpec);
      await addPorts(await stack(), mappings, { json, persist });
    });
}

export function makeRemovePortsCommand(stack: ConnectStack): Command {
  return new Command('remove-ports')
    .description('stop publishing ports')
    .argument('[id...]', 'IDs as listed by list-ports')
    .action(async (texts: string[]) => {
      if (texts.length === 0) throw new UsageError('no ID specified');
      const ids = texts.map(parseId);
      const client = await stack();
      for (const id of ids) {
        await client.removePort(id);
        printLine(`${id}`);
      }
    });
}

/**
 * Adds one mapping after the other. Stops at the first failure, as RootlessKit does, and reports what was added before it. A
 * range is one request: either all of it is added or nothing.
 */
async function addPorts(
  client: StackClient,
  mappings: readonly PortMapping[],
  { json, persist }: { json: boolean; persist: boolean },
): Promise<void> {
  const added: number[] = [];
  const left = [...mappings];
  for (let mapping = left.shift(); mapping !== undefined; mapping = left.shift()) {
    const { count } = mapping;
    const current = mapping;
    const status = await client.addPort(portSpecOf(mapping), { persist }).catch((error: unknown) => {
      throw error instanceof APIError && (added.length > 0 || left.length > 0)
        ? partialFailure(error, current, left, added)
        : error;
    });
    const port = { id: status.id, ...parsePortSpecJSON(status.spec) };
    for (const single of portStatuses([port])) {
      added.push(single.id);
      if (json) printJSON(single);
      else printLine(`${single.id}`);
    }
    if (mapping.host.port === 0) {
      printErrorLine(`port ${port.id}: ${formatPortMapping(mapping)} is published on port ${port.host.port}`);
    }
    // A stack of an earlier version does not know ranges, and has added only the first port.
    if (port.count < count) left.unshift(part(mapping, port.count, count - port.count));
  }
}

function partialFailure(
  error: APIError,
  failed: PortMapping,
  left: readonly PortMapping[],
  added: readonly number[],
): APIError {
  const before = added.length === 0 ? 'none added before it' : `added before it: ID ${ranges(added)}`;
  const untried = left.reduce((sum, { count }) => sum + count, 0);
  const message = `${error.message} (at ${formatPortMapping(failed)}; ${before}; not tried: ${untried} more)`;
  return new APIError(error.httpStatus, message, { code: error.code, hint: error.hint, cause: error });
}

/** "1-3, 7" for 1, 2, 3, 7. */
function ranges(ids: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const id of ids) {
    const run = runs.at(-1);
    if (run && run[1] === id - 1) run[1] = id;
    else runs.push([id, id]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

/** Throws UsageError. */
function parseId(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(`invalid ID ${JSON.stringify(text)}: expected a number, as listed by list-ports`);
}
