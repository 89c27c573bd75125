/**
 * `rootlessctl top`: ports, containers and connections with their rates. On a terminal one screen, which is drawn again at each
 * interval until `q` or Ctrl-C; elsewhere once, or at each --interval that is given.
 */
import { Command, Option } from 'commander';
import { ContainerClient } from '../../../parent/client/container-client.js';
import { UsageError } from '../../../parent/errors.js';
import { printJSON } from '../../common/print.js';
import { type ConnectStack, untilInterrupted } from '../connection.js';
import { follow } from './follow.js';
import { reportBetween, type Sample, SORTS, type Sort, takeSample } from './sample.js';
import { topText } from './screen.js';
import { FullScreen } from './terminal.js';

const USUAL_INTERVAL_S = 1;
const MAX_INTERVAL_S = 3600;

interface TopOptions {
  interval?: string;
  sort: Sort;
  once?: boolean;
  json?: boolean;
}

export function makeTopCommand(stack: ConnectStack): Command {
  return new Command('top')
    .description('show the busiest ports, containers and connections, with bytes per second; q ends it')
    .option('--interval <seconds>', 'time between two looks (default: 1); without a terminal it is shown again at each')
    .addOption(new Option('--sort <order>', 'order of ports and containers').choices(SORTS).default('bytes'))
    .option('--once', 'show it once, after one interval')
    .option('--json', 'one JSON object per line')
    .action(async (options: TopOptions) => {
      const seconds = parseInterval(options.interval);
      const client = await stack();
      const { stateDir, name = stateDir } = await client.info();
      const containers = new ContainerClient(client.socketPath);
      const repeats = options.once !== true && (process.stdout.isTTY || options.interval !== undefined);
      using screen = repeats && process.stdout.isTTY && !options.json ? new FullScreen() : undefined;
      const signal = screen?.closed ?? untilInterrupted();
      const show = (before: Sample, now: Sample) => {
        const report = reportBetween(before, now, options.sort);
        if (options.json) printJSON(report);
        else if (screen) screen.draw((page) => topText(report, name, page));
        else process.stdout.write(topText(report, name));
      };
      const take = () => takeSample(client, containers);
      const first = await take();
      if (screen) show(first, first);
      await follow(first, { take, show, intervalMs: seconds * 1000, repeats, signal, screen });
    });
}

/** In s. Throws UsageError. */
function parseInterval(text: string | undefined): number {
  if (text === undefined) return USUAL_INTERVAL_S;
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds >= 0.1 && seconds <= MAX_INTERVAL_S) return seconds;
  throw new UsageError(`invalid --interval ${JSON.stringify(text)}: expected seconds, from 0.1 to ${MAX_INTERVAL_S}`);
}
