/** The commands of rootlessctl for ports. */
import { Command } from 'commander';
import { APIError } from '../../parent/client/errors.js';
import { formatIds, type StackClient } from '../../parent/client/stack-client.js';
import { UsageError } from '../../parent/errors.js';
import { formatPortMapping, parsePortSpec } from '../../protocol/ports/grammar.js';
import { type PortMapping, type PublishedPort, part } from '../../protocol/ports/port-mapping.js';
import { type PortStatus, parsePortSpecJSON, portSpecOf, portStatuses } from '../../protocol/ports/rootlesskit-json.js';
import { printErrorLine, printJSON, printLine } from '../common/print.js';
import type { ConnectStack } from './connection.js';
import { portTable } from './stack-text.js';

/** As many ports as an address has, for each of the two protocols. */
const MAX_IDS = 2 * 65_535;

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
    .argument('[id...]', 'IDs as listed by list-ports, and ranges of them, such as 1-1000')
    .action(async (texts: string[]) => {
      if (texts.length === 0) throw new UsageError('no ID specified');
      await removePorts(await stack(), texts.flatMap(parseIds));
    });
}

interface AddOptions {
  json: boolean;
  persist: boolean;
}

/**
 * In one request, if that succeeds. Otherwise one after the other, since RootlessKit's API has no lists, and its users know
 * what is there after a failure: what comes before it.
 */
async function addPorts(client: StackClient, mappings: readonly PortMapping[], options: AddOptions): Promise<void> {
  if (mappings.length > 1) {
    const statuses = await client.addPorts(mappings.map(portSpecOf), options).catch(unlessRefused);
    if (statuses) {
      for (const [index, mapping] of mappings.entries()) {
        const status = statuses[index];
        if (status) reportAdded(status, mapping, options);
      }
      return;
    }
  }
  await addInTurn(client, mappings, options);
}

/** Undefined for an error that the API has answered with. */
function unlessRefused(error: unknown): undefined {
  if (!(error instanceof APIError)) throw error;
}

/**
 * Stops at the first failure, as RootlessKit does, and reports what was added before it. A range is one request: either all
 * of it is added or nothing.
 */
async function addInTurn(client: StackClient, mappings: readonly PortMapping[], options: AddOptions): Promise<void> {
  const added: number[] = [];
  const left = [...mappings];
  for (let mapping = left.shift(); mapping !== undefined; mapping = left.shift()) {
    const { count } = mapping;
    const current = mapping;
    const status = await client.addPort(portSpecOf(mapping), options).catch((error: unknown) => {
      throw error instanceof APIError && (added.length > 0 || left.length > 0)
        ? partialFailure(error, current, left, added)
        : error;
    });
    const port = reportAdded(status, mapping, options);
    for (let offset = 0; offset < port.count; offset++) added.push(port.id + offset);
    // A stack of an earlier version does not know ranges, and has added only the first port.
    if (port.count < count) left.unshift(part(mapping, port.count, count - port.count));
  }
}

/** Prints what was added for a mapping, and returns it. */
function reportAdded(status: PortStatus, mapping: PortMapping, { json }: AddOptions): PublishedPort {
  const port = { id: status.id, ...parsePortSpecJSON(status.spec) };
  for (const single of portStatuses([port])) {
    if (json) printJSON(single);
    else printLine(`${single.id}`);
  }
  if (mapping.host.port === 0) {
    printErrorLine(`port ${port.id}: ${formatPortMapping(mapping)} is published on port ${port.host.port}`);
  }
  return port;
}

function partialFailure(
  error: APIError,
  failed: PortMapping,
  left: readonly PortMapping[],
  added: readonly number[],
): APIError {
  const before = added.length === 0 ? 'none added before it' : `added before it: ID ${formatIds(added, ', ')}`;
  const untried = left.reduce((sum, { count }) => sum + count, 0);
  const message = `${error.message} (at ${formatPortMapping(failed)}; ${before}; not tried: ${untried} more)`;
  return new APIError(error.httpStatus, message, { code: error.code, hint: error.hint, cause: error });
}

/** In one request, if that succeeds; otherwise one after the other, see addPorts(). */
async function removePorts(client: StackClient, ids: readonly number[]): Promise<void> {
  const removed = ids.length > 1 && (await client.removePorts(ids).then(() => true, unlessRefused));
  for (const id of ids) {
    if (!removed) await client.removePort(id);
    printLine(`${id}`);
  }
}

/** A number, or a range of them. Throws UsageError. */
function parseIds(text: string): number[] {
  const [, from, to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text) ?? [];
  const count = Number(to) - Number(from) + 1;
  if (count >= 1 && count <= MAX_IDS) return Array.from({ length: count }, (_, offset) => Number(from) + offset);
  throw new UsageError(
    `invalid ID ${JSON.stringify(text)}: expected a number, as listed by list-ports, or a range, such as 1-1000`,
  );
}
