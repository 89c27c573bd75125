// What rows, figures and results are.
import type { BenchNetwork } from './network.js';
import type { Account } from './users.js';

/** A quantity that a row measures. */
export interface Column {
  title: string;
  unit: string;
  decimals: number;
  /** Less is better; where it is not set, more is. */
  less?: true;
  /** It is shown in the table of the row's first column, by its median alone. */
  beside?: true;
  /** It is one of several at growing numbers of something, shown as one line of a table, and as a curve. */
  series?: { title: string; of: string; at: number };
}

/** What one measurement of one candidate came to. */
export interface Figure {
  /** By the names of the row's columns. */
  values: Readonly<Record<string, number>>;
  /** For the record: bytes, errors, congestion control at either end. */
  details?: Readonly<Record<string, number | string>>;
  /** Latencies in µs by the percentage of all that is not above them. */
  quantiles?: Readonly<Record<string, number>>;
  /** Why the values are not what they seem; such a figure reaches no goal and serves none as the measure. */
  caveat?: string;
  /** Something to know, which spoils nothing. */
  note?: string;
}

/** What one candidate did in a row. */
export interface CandidateResult {
  name: string;
  /** One figure a round; undefined where the round failed. */
  figures: (Figure | undefined)[];
  /** What it is, where the table of candidates does not say. */
  description?: string;
  /** Why there are no figures, or fewer than rounds. */
  problem?: string;
  /** Congestion control in the candidate's own namespace, if it has one. */
  childCongestion?: string;
}

/** How much is to be measured. */
export interface Plan {
  /** Names of the candidates, "direct" among them always: the ratios refer to it. */
  candidates: readonly string[];
  rounds: number;
  /** Length of one measurement. */
  seconds: number;
  /** Go on to numbers that take long. */
  long: boolean;
}

/** Where it is measured: who is who, and from where the programs are taken. */
export interface Surroundings {
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
  /** Why it cannot be measured here; undefined where it can. */
  unavailable(where: Surroundings): string | undefined;
  measure(plan: Plan, where: Surroundings): Promise<CandidateResult[]>;
}
