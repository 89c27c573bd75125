/** The options that `container prune` and `network prune` have in common. */
import type { Command } from 'commander';
import { confirm } from '../confirm.js';
import { type FilterKinds, type Filters, parseFilters } from '../docker/filters.js';
import { collect } from '../options/values.js';

export interface PruneOptions {
  force?: boolean;
  filter: string[];
}

export function withPruneOptions(command: Command): Command {
  return command
    .option('-f, --force', 'do not ask for confirmation on a terminal')
    .option('--filter <filter>', 'label=NAME[=value]; may be repeated', collect, []);
}

/**
 * Resolves with the filters, or with undefined if the user does not confirm.
 *
 * @param what is removed: "all networks …"
 * @throws UsageError
 */
export async function confirmPrune<Item>(
  what: string,
  { force = false, filter }: PruneOptions,
  label: FilterKinds<Item>[string],
): Promise<Filters<Item> | undefined> {
  const filters = parseFilters(filter, { label });
  const confirmed = force || (await confirm(`This removes ${what}. Continue?`));
  return confirmed ? filters : undefined;
}
