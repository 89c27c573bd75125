/** `rootlessctl trace`: whether a published address would answer, and where it fails if not. */
import { Command } from 'commander';
import type { TraceReport, TraceStep } from '../../protocol/api/trace.js';
import { formatHostAddress, parseHostAddress } from '../../protocol/net/host-address.js';
import { MAX_LINE, printable } from '../../protocol/text/printable-text.js';
import { EXIT } from '../common/failure.js';
import { printJSON } from '../common/print.js';
import { formatRows } from '../common/table.js';
import type { ConnectStack } from './connection.js';

export function makeTraceCommand(stack: ConnectStack): Command {
  return new Command('trace')
    .description('follow a connection to a published address, step by step, and show what keeps it from being answered')
    .argument('<address>', 'on the host: [address:]port[/tcp|udp], such as 127.0.0.2:8080 or [::1]:53/udp, or a URL')
    .option('--json', 'as JSON')
    .action(async (text: string, { json = false }: { json?: boolean }) => {
      const address = formatHostAddress(parseHostAddress(text));
      const report = await (await stack()).trace(address);
      if (json) printJSON(report, 4);
      else process.stdout.write(traceText(report));
      if (!report.answers) process.exitCode = EXIT.failed;
    });
}

export function traceText({ address, steps, answers, hint }: TraceReport): string {
  const rows = steps.map((step) => [step.ok ? 'ok' : 'FAILED', whereOf(step), step.text]);
  const lines = [`result: ${address} ${answers ? 'answers' : 'does not answer'}`];
  if (hint !== undefined) lines.push(`hint: ${hint}`);
  return `${formatRows(rows)}${lines.map((line) => `${printable(line, MAX_LINE)}\n`).join('')}`;
}

function whereOf({ step, address }: TraceStep): string {
  return address ?? step;
}
