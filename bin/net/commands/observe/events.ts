/** `events`: what happens to containers and networks, as it happens. */
import { Command, Option } from 'commander';
import { StackClient } from '../../../../parent/client/stack-client.js';
import { printLine } from '../../../common/print.js';
import { untilInterrupted } from '../../../ctl/connection.js';
import type { NetDeps } from '../../deps.js';
import { EVENT_FILTERS, eventLine, eventView, isContainerEvent } from '../../docker/event.js';
import { parseFilters } from '../../docker/filters.js';
import { type Format, parseInspectFormat, printInspectedOne } from '../../docker/format.js';
import { collect } from '../../options/values.js';

export function makeEventsCommand({ stack }: NetDeps): Command {
  return (
    new Command('events')
      .description('follow what happens to containers and networks, until the stack ends')
      .option('-f, --filter <filter>', `NAME=VALUE, NAME one of ${Object.keys(EVENT_FILTERS).join(', ')}`, collect, [])
      // Without -f, which is that of --filter, as docker has it.
      .addOption(
        new Option(
          '--format <format>',
          'json, or a template such as {{.Action}}; the fields are those of docker',
        ).argParser(parseInspectFormat),
      )
      .action(async ({ filter, format }: { filter: string[]; format?: Format }) => {
        const filters = parseFilters(filter, EVENT_FILTERS);
        const { socketPath } = await stack.connect();
        const signal = untilInterrupted();
        for await (const event of new StackClient(socketPath).events({ signal })) {
          if (!isContainerEvent(event) || filters.select([event]).length === 0) continue;
          if (format) printInspectedOne(format, eventView(event));
          else printLine(eventLine(event));
        }
      })
  );
}
