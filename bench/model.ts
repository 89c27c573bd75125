// The types of the benchmark: rows, columns, figures and results.
import type { Candidates } from './candidates/candidate.js';
import type { BenchNetwork } from './environment/network.js';
import type { Account } from './environment/users.js';

/** A quantity that a row measures. */
export interface Column {
  title: string;
  unit: string;
  decimals: number;
  /** Whether less is better; by default more is. */
  less?: true;
  /** Shown in the table of the row's first column, as a median only. */
  beside?: true;
  /** One of several columns at growing numbers of something, shown as one line of a table and as a curve. */
  series?: { title: string; of: string; at: number };
}

/** The result of one measurement of one candidate. */
export interface Figure {
  /** By the names of the row's columns. */
  values: Readonly<Record<string, number>>;
  /** For the record: bytes, errors, congestion control at either end. */
  details?: Readonly<Record<string, number | string>>;
  /** Latencies in µs by percentile. */
  quantiles?: Readonly<Record<string, number>>;
  /** Why the values are misleading; such a figure does not count for any goal. */
  caveat?: string;
  /** A remark that does not affect the values. */
  note?: string;
}

/** The results of one candidate in a row. */
export interface CandidateResult {
  name: string;
  /** One figure for each round; undefined if the round failed. */
  figures: (Figure | undefined)[];
  /** For the legend. */
  description?: string;
  /** Another project's program: goals for all peers compare with it. */
  peer?: true;
  /** Why there are no figures, or fewer than rounds. */
  problem?: string;
  /** Congestion control in the candidate's own namespace, if it has one. */
  childCongestion?: string;
}

/** Where a client connects to. */
export interface Target {
  address: string;
  port: number;
}

/** How much to measure. */
export interface Plan {
  /** Names of the candidates, always including "direct": the ratios refer to it. */
  candidates: readonly string[];
  rounds: number;
  /** Duration of one measurement. */
  seconds: number;
  /** Whether to include numbers that take long. */
  long: boolean;
}

/** Where to measure: accounts, network, and the paths of our programs and of node. */
export interface Environment {
  candidates: Candidates;
  root: string;
  node: string;
  account(name: string): Account;
  client: Account;
  network: BenchNetwork;
  progress(line: string): void;
}

export interface Row {
  title: string;
  /** By name, in the order of the tables. */
  columns: Readonly<Record<string, Column>>;
  /** Why the row cannot be measured here, or undefined. */
  unavailable(where: Environment): string | undefined;
  measure(plan: Plan, where: Environment): Promise<CandidateResult[]>;
}
