/** The commands of rootlessctl for the egress policy. */
import { Argument, Command } from 'commander';
import type { EgressReport } from '../../protocol/api/egress.js';
import { parseRule } from '../../protocol/egress/grammar.js';
import { type EgressAction, formatRule } from '../../protocol/egress/rule.js';
import { MAX_LINE, printable } from '../../protocol/text/printable-text.js';
import { printJSON } from '../common/print.js';
import { formatTable } from '../common/table.js';
import type { ConnectStack } from './connection.js';

export const RULES = 'such as registry.npmjs.org, *.github.com:443, 10.1.0.0/16, udp:192.0.2.1:53, host, dns, @public';

export function makeEgressCommand(stack: ConnectStack): Command {
  const egress = new Command('egress').description('show and change what programs inside may reach');
  egress
    .command('ls')
    .description('list the rules, with what they have allowed and denied')
    .option('--json', 'as JSON')
    .action(async ({ json = false }: { json?: boolean }) => {
      const report = await (await stack()).egress();
      if (json) printJSON(report, 4);
      else process.stdout.write(egressTable(report));
    });
  for (const action of ['allow', 'deny'] as const) {
    egress
      .command(action)
      .description(`add ${action} rules`)
      .argument('<rule...>', RULES)
      .action(async (texts: string[]) => {
        await (await stack()).changeEgress('POST', rulesOf(action, texts));
      });
  }
  egress
    .command('rm')
    .description('remove rules, as listed by ls')
    .addArgument(new Argument('<allow|deny>', 'kind of the rules').choices(['allow', 'deny']))
    .argument('<rule...>', RULES)
    .action(async (action: EgressAction, texts: string[]) => {
      await (await stack()).changeEgress('DELETE', rulesOf(action, texts));
    });
  return egress;
}

/** Checked here, so that an error names what was written. Throws EgressRuleError. */
export function rulesOf(action: EgressAction, texts: readonly string[]): string[] {
  return texts.map((text) => formatRule(parseRule(action, text, `egress ${action}`)));
}

export function egressTable({ default: byDefault, counters, rules, overlay = [], learned }: EgressReport): string {
  if (learned) {
    const more = learned.full ? '; there were more' : '';
    const lines = [`everything is allowed; learned so far (${learned.file}${more}):`, ...learned.rules];
    return lines.map((line) => `${printable(line, MAX_LINE)}\n`).join('');
  }
  const cells = ({ allowed, denied, names }: EgressReport['counters']) => [`${allowed}`, `${denied}`, `${names}`];
  const row = (rule: EgressReport['rules'][number], more = '') => [
    printable(rule.rule, MAX_LINE) + more,
    ...cells(rule),
  ];
  const rows = [...rules.map((rule) => row(rule)), ...overlay.map((rule) => row(rule, ' (overlay)'))];
  return formatTable([['RULE', 'ALLOWED', 'DENIED', 'NAMES'], ...rows, [`${byDefault} (default)`, ...cells(counters)]]);
}
