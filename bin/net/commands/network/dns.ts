/** `dns`: the DNS servers of networks, and what they answer. */
import { Command } from 'commander';
import type { NetworkNamesReport } from '../../../../protocol/containers/types.js';
import { printLine } from '../../../common/print.js';
import type { NetDeps } from '../../deps.js';

interface QueryOptions {
  network: string;
  type: string;
  container: string;
}

export function makeDnsCommand(deps: NetDeps): Command {
  return new Command('dns')
    .description('show the DNS servers of networks, and how many queries each source has answered')
    .option('--network <network>', 'only that of this network')
    .enablePositionalOptions()
    .action(async ({ network }: { network?: string }) => {
      const containers = await deps.stack.connect();
      const { hostNames } = await containers.info();
      if (network === undefined && hostNames)
        printLine(`the host: ${hostNames.address}; ${countsText(hostNames.answers)}`);
      const names = network === undefined ? (await containers.networks()).map(({ name }) => name) : [network];
      await deps.report.each(names, async (name) => printServer(await containers.networkNames(name)));
    })
    .addCommand(makeQueryCommand(deps));
}

function makeQueryCommand({ stack }: NetDeps): Command {
  return new Command('query')
    .description('query the DNS server of a network, and show the answer, its source, and why')
    .argument('<name>')
    .option('--network <network>', 'the network whose server is asked', 'bridge')
    .option('--type <type>', 'type of the records, such as AAAA or PTR', 'A')
    .option('--container <container>', 'ask as this container, which has its own DNS servers and networks', '')
    .action(async (name: string, { network, type, container }: QueryOptions) => {
      const containers = await stack.connectForExisting('network', [network]);
      const answer = await containers.resolveName(network, { name, type, container });
      for (const record of answer.records) printLine(`${record.name} ${record.ttl} ${record.type} ${record.data}`);
      if (answer.records.length === 0) printLine(`${answer.status}, no ${answer.type} records`);
      printLine(`answered by: ${answer.reason}`);
      if (answer.status !== 'NOERROR') process.exitCode = 1;
    });
}

function printServer({ network, servers, problem, answers }: NetworkNamesReport): void {
  const serves = `${servers.join(', ')}; ${countsText(answers)}`;
  printLine(`${network}: ${servers.length === 0 ? `no DNS server: ${problem}` : serves}`);
}

/** `queries: 12 own, 3 host`. */
function countsText(answers: Readonly<Record<string, number>>): string {
  const counts = Object.entries(answers).flatMap(([from, count]) => (count > 0 ? [`${count} ${from}`] : []));
  return `queries: ${counts.join(', ') || 'none'}`;
}
