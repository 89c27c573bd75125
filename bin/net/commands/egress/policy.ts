/** `egress`: what containers and networks may reach. */
import { Argument, Command } from 'commander';
import type { ContainerClient } from '../../../../parent/client/container-client.js';
import type { EgressReport } from '../../../../protocol/api/egress.js';
import type { EgressAction } from '../../../../protocol/egress/rule.js';
import { printable } from '../../../../protocol/text/printable-text.js';
import { printJSON } from '../../../common/print.js';
import { egressTable, RULES, rulesOf } from '../../../ctl/egress.js';
import type { NetDeps } from '../../deps.js';

interface WhichOptions {
  network?: boolean;
}

export function makeEgressCommand({ stack }: NetDeps): Command {
  const egress = new Command('egress').description(
    'show and change what a container may reach, or the containers of a network',
  );
  const withTarget = (command: Command) =>
    command
      .argument('<container>', 'container; a network with --network')
      .option('--network', 'of a network: its containers may reach what both policies allow');
  const connect = (name: string, { network }: WhichOptions) =>
    network ? stack.connect() : stack.connectForExisting('container', [name]);
  const change = async (name: string, options: WhichOptions, method: 'POST' | 'DELETE', rules: readonly string[]) => {
    const client = await connect(name, options);
    if (options.network) await client.changeNetworkEgress(method, name, rules);
    else await client.changeEgress(method, name, rules);
  };
  withTarget(egress.command('ls'))
    .description('list the rules, with what they have allowed and denied')
    .option('--json', 'as JSON')
    .action(async (name: string, options: WhichOptions & { json?: boolean }) => {
      await list(await connect(name, options), name, options);
    });
  for (const action of ['allow', 'deny'] as const) {
    withTarget(egress.command(action))
      .description(`add ${action} rules`)
      .argument('<rule...>', RULES)
      .action((name: string, texts: string[], options: WhichOptions) =>
        change(name, options, 'POST', rulesOf(action, texts)),
      );
  }
  withTarget(egress.command('rm'))
    .description('remove rules, as listed by ls')
    .addArgument(new Argument('<allow|deny>', 'kind of the rules').choices(['allow', 'deny']))
    .argument('<rule...>', RULES)
    .action((name: string, action: EgressAction, texts: string[], options: WhichOptions) =>
      change(name, options, 'DELETE', rulesOf(action, texts)),
    );
  return egress;
}

async function list(client: ContainerClient, name: string, options: WhichOptions & { json?: boolean }): Promise<void> {
  if (options.network) {
    const report = await client.networkEgress(name);
    if (options.json) printJSON(report, 4);
    else process.stdout.write(egressTable(report));
    return;
  }
  const report = await client.egress(name);
  if (options.json) return printJSON(report, 4);
  const ofNetworks = Object.entries(report.networks).map(
    ([network, policy]: [string, EgressReport]) => `\nnetwork ${printable(network)}:\n${egressTable(policy)}`,
  );
  process.stdout.write(egressTable(report) + ofNetworks.join(''));
}
