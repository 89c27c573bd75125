/** A row of `docker stats`. */

import type { ContainerUsage } from '../../../protocol/api/usage.js';
import { shortId } from '../../../protocol/containers/short-id.js';
import { bytesText } from '../../ctl/flow-text.js';
import { cpuShare } from '../../ctl/top/sample.js';
import type { Struct } from '../template/index.js';

export const USAGE_COLUMNS = [
  'CONTAINER ID',
  'NAME',
  'CPU %',
  'MEM USAGE / LIMIT',
  'MEM %',
  'NET I/O',
  'BLOCK I/O',
  'PIDS',
];

export const USAGE_HEADINGS: Struct = {
  Container: 'CONTAINER',
  ID: 'CONTAINER ID',
  Name: 'NAME',
  CPUPerc: 'CPU %',
  MemUsage: 'MEM USAGE / LIMIT',
  MemPerc: 'MEM %',
  NetIO: 'NET I/O',
  BlockIO: 'BLOCK I/O',
  PIDs: 'PIDS',
};

/** What docker shows in place of what is not counted. */
const UNKNOWN = '--';
const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export interface UsageOptions {
  /** At an earlier moment; the share of the processors is that between the two. */
  before: ContainerUsage | undefined;
  /** Seconds since then. */
  interval: number;
  noTrunc: boolean;
  /** Of the machine, in bytes: the limit where the container has none. */
  totalMemory: number;
}

export function usageRow(usage: ContainerUsage, { before, interval, noTrunc, totalMemory }: UsageOptions): Struct {
  const { id, name, cpuTime, memory, memoryLimit = totalMemory, processes, received, sent, read, written } = usage;
  const limit = Math.min(memoryLimit, totalMemory);
  const shown = noTrunc ? id : shortId(id);
  return {
    Container: shown,
    ID: shown,
    Name: name,
    CPUPerc: cpuTime === undefined ? UNKNOWN : percent(cpuShare(cpuTime - (before?.cpuTime ?? cpuTime), interval)),
    MemUsage: memory === undefined ? `${UNKNOWN} / ${UNKNOWN}` : `${binaryText(memory)} / ${binaryText(limit)}`,
    MemPerc: memory === undefined ? UNKNOWN : percent((memory / limit) * 100),
    NetIO: pair(received, sent),
    BlockIO: pair(read, written),
    PIDs: processes === undefined ? UNKNOWN : `${processes}`,
  };
}

export function usageCells(row: Struct): string[] {
  const { ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs } = row;
  return [ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs].map(String);
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

function pair(one: number | undefined, other: number | undefined): string {
  if (one === undefined || other === undefined) return `${UNKNOWN} / ${UNKNOWN}`;
  return `${bytesText(one)} / ${bytesText(other)}`;
}

/** With a unit of powers of 1024: `5.2MiB`. */
function binaryText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < BINARY_UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : Number(value.toPrecision(4))}${BINARY_UNITS[unit]}`;
}
