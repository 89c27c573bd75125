/**
 * `rootlessctl top`: ports, containers and connections with their rates. On a terminal one screen, which is drawn again at each
 * interval until `q` or Ctrl-C; elsewhere once, or at each --interval that is given.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { ContainerClient } from '../../../parent/client/container-client.js';
import { UsageError } from '../../../parent/errors.js';
import { printJSON } from '../../common/print.js';
import { type ConnectStack, untilInterrupted } from '../connection.js';
import { reportBetween, SORTS, type Sort, type TopReport, takeSample } from './sample.js';
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
      const screen = repeats && process.stdout.isTTY && !options.json ? new FullScreen() : undefined;
      const signal = screen?.closed ?? untilInterrupted();
      const show = (report: TopReport) => {
        if (options.json) printJSON(report);
        else if (screen) screen.draw((page) => topText(report, name, page));
        else process.stdout.write(topText(report, name));
      };
      try {
        let before = await takeSample(client, containers);
        screen?.draw((page) => topText(reportBetween(before, before, options.sort), name, page));
        do {
          await delay(seconds * 1000, undefined, { signal }).catch(() => {});
          if (signal.aborted) break;
          const now = await takeSample(client, containers);
          show(reportBetween(before, now, options.sort));
          before = now;
        } while (repeats);
      } finally {
        screen?.close();
      }
    });
}

/** In s. Throws UsageError. */
function parseInterval(text: string | undefined): number {
  if (text === undefined) return USUAL_INTERVAL_S;
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds >= 0.1 && seconds <= MAX_INTERVAL_S) return seconds;
  throw new UsageError(`invalid --interval ${JSON.stringify(text)}: expected seconds, from 0.1 to ${MAX_INTERVAL_S}`);
}
