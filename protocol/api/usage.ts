/** What running containers use, as the agent reports it: `GET /v1/usage` and `GET /v1/containers/NAME/processes`. */
import { hasFields, isListOf, isNumber, isText, optional } from './report-shapes.js';

/** Counters are since the container's start. Absent is what the kernel does not count: cgroups are not delegated, or shared. */
export interface ContainerUsage {
  id: string;
  name: string;
  /** Time of the processors, in µs. */
  cpuTime?: number;
  /** Without page cache that can be dropped at once, in bytes, as docker has it; and the limit where there is one. */
  memory?: number;
  memoryLimit?: number;
  processes?: number;
  /** Through the interfaces of its own network namespace, in bytes. */
  received?: number;
  sent?: number;
  /** On block devices, in bytes. */
  read?: number;
  written?: number;
}

/** A process of a container. */
export interface ContainerProcess {
  /** In the stack's pid namespace. */
  pid: number;
  parent: number;
  /** User id inside the namespaces of the stack. */
  uid: number;
  /** Time of the processors, in s. */
  cpuTime: number;
  /** When it began, in ms since the epoch. */
  started: number;
  /** Words separated by blanks: programs choose them. */
  command: string;
}

const numbers = (...names: string[]) => Object.fromEntries(names.map((name) => [name, optional(isNumber)]));

export const isUsageList = isListOf(
  hasFields<ContainerUsage>({
    id: isText,
    name: isText,
    ...numbers('cpuTime', 'memory', 'memoryLimit', 'processes', 'received', 'sent', 'read', 'written'),
  }),
);

export const isProcessList = isListOf(
  hasFields<ContainerProcess>({
    ...Object.fromEntries(['pid', 'parent', 'uid', 'cpuTime', 'started'].map((name) => [name, isNumber])),
    command: isText,
  }),
);
