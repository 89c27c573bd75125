/** `container`, docker's group of commands: `container run` is `run`, `container ls` is `ps`. */
import { Command } from 'commander';
import { printLine } from '../../common/print.js';
import type { NetDeps } from '../deps.js';
import { CONTAINER_FILTERS } from '../docker/container-filters.js';
import { confirmPrune, type PruneOptions, withPruneOptions } from './prune-options.js';

const GROUP = 'container';
/** docker's names for `ps` in the group. */
const LIST = ['ls', 'list', 'ps'];

export function makeContainerCommand(deps: NetDeps): Command {
  return new Command(GROUP)
    .enablePositionalOptions()
    .description("docker's group of commands: container run is run, container ls is ps, and so on")
    .addCommand(makePruneCommand(deps));
}

function makePruneCommand({ stack, report }: NetDeps): Command {
  return withPruneOptions(new Command('prune'))
    .description('remove all containers that are not running')
    .action(async (options: PruneOptions) => {
      const what = 'all containers that are not running';
      const filters = await confirmPrune(what, options, CONTAINER_FILTERS.label);
      if (!filters) return;
      const ended = filters
        .select(await (await stack.connectForReading()).list())
        .filter(({ status }) => status === 'exited' || status === 'created');
      if (ended.length === 0) return;
      const containers = await stack.connect();
      const ids = ended.map(({ id }) => id);
      await report.each(ids, async (id) => {
        await containers.remove(id);
        printLine(id);
      });
    });
}

/** The words of a command line without the group, where it precedes one of the other commands. */
export function withoutGroup(program: Command, words: readonly string[]): string[] {
  const at = firstOperand(program, words);
  const next = words[at + 1];
  if (words[at] !== GROUP || next === undefined || next.startsWith('-') || next === 'prune' || next === 'help') {
    return [...words];
  }
  return [...words.slice(0, at), LIST.includes(next) ? 'ps' : next, ...words.slice(at + 2)];
}

/** Index of the first word behind the program's own options and their values. */
function firstOperand(program: Command, words: readonly string[]): number {
  let at = 0;
  for (let word = words[at]; word?.startsWith('-') && word !== '--'; word = words[at]) {
    const option = program.options.find(({ short, long }) => word === short || word === long);
    at += option?.required ? 2 : 1;
  }
  return at;
}
