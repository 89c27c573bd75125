/** `network ls`, `network inspect` and `network prune`. */
import { Command, Option } from 'commander';
import type { ContainerClient } from '../../../../parent/client/container-client.js';
import type { ContainerReport, NetworkReport } from '../../../../protocol/containers/types.js';
import { printLine } from '../../../common/print.js';
import { formatColumns } from '../../../common/table.js';
import type { NetDeps } from '../../deps.js';
import { networkNames } from '../../docker/container-row.js';
import { type Filters, parseFilters } from '../../docker/filters.js';
import { inspectNetwork } from '../../docker/inspect.js';
import {
  isPredefined,
  type ListedNetwork,
  NETWORK_COLUMNS,
  NETWORK_FILTERS,
  NETWORK_HEADINGS,
  networkRow,
  PSEUDO_NETWORKS,
} from '../../docker/network-row.js';
import { type InspectOptions, inspectEach, withInspectOptions } from '../inspect-options.js';
import { type ListOptions, printReports, withListOptions } from '../list-options.js';
import { confirmPrune, type PruneOptions, withPruneOptions } from '../prune-options.js';

export function makeListCommand({ stack }: NetDeps): Command {
  const command = new Command('ls').alias('list').description('list networks');
  return withListOptions(command, Object.keys(NETWORK_FILTERS)).action(async (options: ListOptions) => {
    const filters = parseFilters(options.filter, NETWORK_FILTERS);
    const containers = await stack.connectForReading();
    const networks = [...(await containers.networks()), ...(options.json ? [] : PSEUDO_NETWORKS)];
    const users = filters.has('dangling') ? await containers.list() : [];
    const reports = filters
      .select(networks.map((report) => ({ report, users: usersOf(report, users) })))
      .map(({ report }) => report);
    const row = (report: NetworkReport) => networkRow(report, { noTrunc: !options.trunc });
    printReports(reports, options, { row, headings: NETWORK_HEADINGS, table: () => table(reports.map(row)) });
  });
}

/** The column of files is shown where a network is not from here. */
function table(rows: readonly ReturnType<typeof networkRow>[]): string {
  const columns = NETWORK_COLUMNS.filter((name) => name !== 'File' || rows.some((row) => row.File !== ''));
  return formatColumns([NETWORK_HEADINGS, ...rows].map((row) => columns.map((name) => String(row[name]))));
}

export function makeInspectCommand({ stack, report }: NetDeps): Command {
  return withInspectOptions(new Command('inspect'))
    .description('show networks in detail, as JSON')
    .argument('<network...>')
    .addOption(new Option('-v, --verbose').hideHelp())
    .action(async (names: string[], options: InspectOptions) => {
      const reports = await stack.connectForReading();
      await inspectEach(report, names, options, (name) => inspectNetwork(reports, name, options.mode));
    });
}

export function makePruneCommand(deps: NetDeps): Command {
  return withPruneOptions(new Command('prune'))
    .description('remove the networks that no container refers to')
    .action(async (options: PruneOptions) => {
      const what = 'all networks that no container refers to';
      const filters = await confirmPrune(what, options, NETWORK_FILTERS.label);
      if (!filters) return;
      const containers = await deps.stack.connect();
      if (options.filter.length > 0) return pruneSelected(deps, containers, filters);
      for (const name of await containers.pruneNetworks()) printLine(name);
    });
}

async function pruneSelected(
  { report }: NetDeps,
  containers: ContainerClient,
  filters: Filters<ListedNetwork>,
): Promise<void> {
  const all = await containers.list();
  const unused = (await containers.networks())
    .map((network) => ({ report: network, users: usersOf(network, all) }))
    .filter((entry) => entry.report.own && entry.users.length === 0 && !isPredefined(entry.report.name));
  const names = filters.select(unused).map((entry) => entry.report.name);
  await report.each(names, async (name) => {
    await containers.removeNetwork(name);
    printLine(name);
  });
}

/** The containers that refer to a network, running or not. */
function usersOf({ name }: NetworkReport, all: readonly ContainerReport[]): ContainerReport[] {
  return all.filter((report) => networkNames(report).includes(name));
}
