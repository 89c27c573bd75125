/** `overlay ls` and `overlay status`. */
import { Command } from 'commander';
import type { OverlayMemberReport, OverlayReport } from '../../../../protocol/overlay/reports.js';
import { bracket } from '../../../../protocol/ports/port-text.js';
import { printErrorLine, printJSON, printLine } from '../../../common/print.js';
import { formatColumns } from '../../../common/table.js';
import type { NetDeps } from '../../deps.js';
import { overlayClient } from './client.js';

interface ReportOptions {
  json?: boolean;
}

export function makeListCommand(deps: NetDeps): Command {
  return new Command('ls')
    .alias('list')
    .description('list the overlay networks that this host is a member of')
    .option('--json', 'as JSON')
    .action(async ({ json }: ReportOptions) => {
      const reports = await (await overlayClient(deps)).list();
      if (json) return printJSON(reports, 2);
      const rows = reports.map(({ name, mode, networks, members, condition }) => [
        ...[name, mode, networks.join(','), ownSubnets(members)],
        ...[String(members.length), condition],
      ]);
      process.stdout.write(formatColumns([['NAME', 'MODE', 'NETWORK', 'SUBNET', 'MEMBERS', 'CONDITION'], ...rows]));
    });
}

export function makeStatusCommand(deps: NetDeps): Command {
  return new Command('status')
    .description('show the members of overlay networks, and how they are reached')
    .argument('[name...]', 'all networks unless given')
    .option('--json', 'as JSON')
    .action(async (names: string[], { json }: ReportOptions) => {
      const client = await overlayClient(deps);
      const wanted = names.length > 0 ? names : (await client.list()).map(({ name }) => name);
      const reports = await Promise.all(wanted.map((name) => client.report(name)));
      if (json) return printJSON(reports, 2);
      for (const [index, report] of reports.entries()) {
        if (index > 0) printLine('');
        printReport(report);
      }
    });
}

function printReport({ name, mode, networks, condition, reason, prefix, members }: OverlayReport): void {
  const where = prefix === undefined ? mode : `${mode} ${prefix}`;
  printLine(`${name}: ${networks.join(', ')}, ${where}, ${condition}`);
  if (reason !== undefined) printErrorLine(`warning: ${reason}`);
  const heading = ['HOST', 'ADDRESS', 'SUBNET', 'HANDSHAKE', 'SENT', 'RECEIVED', 'LATENCY', 'VERSION'];
  process.stdout.write(formatColumns([heading, ...members.map(memberRow)]));
}

function memberRow(member: OverlayMemberReport): string[] {
  const { name, address, port, subnets, self, alive, handshakeAge, bytesSent, bytesReceived, latency, version } =
    member;
  const shown = self ? `${name} (this host)` : alive === false ? `${name} (gone)` : name;
  const where = `${bracket(address)}:${port}`;
  const traffic = [bytesSent, bytesReceived].map((bytes) => (bytes === undefined ? '-' : bytesText(bytes)));
  return [
    ...[shown, where, subnets.join(',')],
    self ? '-' : handshakeAge === undefined ? 'never' : `${Math.round(handshakeAge)} s`,
    ...traffic,
    latency === undefined ? '-' : `${latency < 10 ? latency.toFixed(1) : Math.round(latency)} ms`,
    version ?? '-',
  ];
}

function ownSubnets(members: readonly OverlayMemberReport[]): string {
  return members.find(({ self }) => self)?.subnets.join(',') ?? '-';
}

function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
