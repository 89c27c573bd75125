import { join } from 'node:path';
import { Command, Option } from 'commander';
import { APIError, EventStreamError, StackClient, StackUnreachableError } from '../parent/api/client.js';
import { formatPortSpec, PortSpecError, parsePortSpecs } from '../protocol/port-spec.js';
import type { PortSpec } from '../protocol/ports.js';
import { VERSION } from '../protocol/version.js';
import { eventText, infoText, portTable } from './stack-text.js';

/**
 * Client of a running stack, with the commands and outputs of RootlessKit's rootlessctl, plus `events` and
 * `list-ports --counters`. Results go to stdout, everything else to stderr; exit code 0, or 1 after an `error: …` line.
 */

/** What the user can mend. The message is shown as it is. */
class UsageError extends Error {
  override name = 'UsageError';
}

/** For normalizeGoFlags(). */
export const LONG_OPTIONS = {
  booleans: ['debug', 'json', 'counters', 'persist', 'help', 'version'],
  valued: ['socket'],
};

/** The command line as commander knows it: also the source of the manual page. */
export const program = new Command('rootlessctl')
  .description('API client of a running rootless-run')
  .option('--debug', 'print where errors come from')
  .addOption(new Option('--socket <path>', 'path of api.sock (default: $ROOTLESSKIT_STATE_DIR/api.sock)'))
  .version(`rootlessctl version ${VERSION}`, '-v, --version')
  .configureOutput({ outputError: (text, write) => write(text.replace(/\n\((Did you mean .*\?)\)/, '. $1')) });

program
  .command('list-ports')
  .description('list the published ports')
  .option('--json', 'one JSON object a line')
  .option('--counters', 'with connections and bytes since the port was added')
  .action(async (options: { json?: boolean; counters?: boolean }) => {
    const { json = false, counters = false } = options;
    const ports = await stack().listPorts({ counters });
    if (json) for (const port of ports) printLine(JSON.stringify(port));
    else process.stdout.write(portTable(ports, { counters }));
  });

program
  .command('add-ports')
  .description('publish ports: [parentIP:]parentPort:[childIP:]childPort[/proto]')
  .argument(
    '[spec...]',
    'such as 127.0.0.2:8080:80/tcp, [::1]:8080:80, 8000-8010:8000-8010/udp, 0:80 for any free port',
  )
  .option('--json', 'one JSON object a line instead of the ids')
  .option('--persist', 'publish them again whenever the stack is started (with rootless-run serve)')
  .action(async (texts: string[], { json = false, persist = false }: { json?: boolean; persist?: boolean }) => {
    if (texts.length === 0) throw new UsageError('no port specified');
    await addPorts(stack(), texts.flatMap(parsePortSpecs), { json, persist });
  });

program
  .command('remove-ports')
  .description('stop publishing ports')
  .argument('[id...]', 'ids as list-ports shows them')
  .action(async (texts: string[]) => {
    if (texts.length === 0) throw new UsageError('no ID specified');
    const client = stack();
    for (const id of texts.map(parseId)) {
      await client.removePort(id);
      printLine(`${id}`);
    }
  });

program
  .command('info')
  .description('show what the stack is made of')
  .option('--json', 'as JSON')
  .action(async ({ json = false }: { json?: boolean }) => {
    const info = await stack().info();
    process.stdout.write(json ? `${JSON.stringify(info, undefined, 4)}\n` : infoText(info));
  });

program
  .command('events')
  .description('follow ports, connections and driver until the stack ends')
  .option('--json', 'one JSON object a line')
  .action(async ({ json = false }: { json?: boolean }) => {
    const abort = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
    for await (const event of stack().events({ signal: abort.signal })) {
      printLine(json ? JSON.stringify(event) : eventText(event));
    }
  });

/** The stack that the user means. */
function stack(): StackClient {
  const { socket } = program.opts<{ socket?: string }>();
  if (socket) return new StackClient(socket);
  const stateDir = process.env.ROOTLESSKIT_STATE_DIR;
  if (!stateDir) throw new UsageError('please specify --socket or set $ROOTLESSKIT_STATE_DIR');
  return new StackClient(join(stateDir, 'api.sock'));
}

/** One after the other, and stops at the first that fails, as RootlessKit does; says then how far it came. */
async function addPorts(
  client: StackClient,
  specs: readonly PortSpec[],
  { json, persist }: { json: boolean; persist: boolean },
): Promise<void> {
  const added: number[] = [];
  for (const spec of specs) {
    const status = await client.addPort(spec, { persist }).catch((error: unknown) => {
      throw error instanceof APIError && specs.length > 1 ? halfway(error, specs, added) : error;
    });
    added.push(status.id);
    printLine(json ? JSON.stringify(status) : `${status.id}`);
    if (spec.parentPort === 0) {
      process.stderr.write(
        `port ${status.id}: ${formatPortSpec(spec)} is published on port ${status.spec.parentPort}\n`,
      );
    }
  }
}

function halfway(error: APIError, specs: readonly PortSpec[], added: readonly number[]): APIError {
  const failed = specs[added.length];
  const before = added.length === 0 ? 'nothing was added before it' : `added before it: ID ${ranges(added)}`;
  const left = specs.length - added.length - 1;
  const message = `${error.message} (at ${failed ? formatPortSpec(failed) : 'the end'}; ${before}; not tried: ${left} more)`;
  return new APIError(error.status, message, { cause: error });
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

function parseId(text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new UsageError(`bad id ${JSON.stringify(text)}: not a number; list-ports shows the ids`);
  return Number(text);
}

function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Shows what went wrong in one line, and sets the exit code. */
export function reportError(error: unknown): void {
  const expected = [UsageError, PortSpecError, APIError, StackUnreachableError, EventStreamError];
  const known = expected.some((type) => error instanceof type);
  const debug = program.opts<{ debug?: boolean }>().debug === true;
  const message =
    error instanceof Error ? (known && !debug ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`error: ${message}\n`);
  process.exitCode = 1;
}
