// Decides whether goals are met.
import { beforeName, ownName } from '../candidates/candidate.js';
import type { CandidateResult, Column } from '../model.js';
import type { ColumnGoal, Goal } from './goals.js';
import { median, roundDifferences, roundRatios, type Summary, summarize } from './statistics.js';

export interface Verdict {
  /** The goal in words. */
  text: string;
  /** The figure that was reached; undefined if unknown, see `caveat`. */
  reached?: Summary & { unit: string; decimals: number };
  /** In how many of the rounds it was reached. */
  rounds?: { met: number; of: number };
  /** Undefined if unknown. */
  met?: boolean;
  /** Why it is not met despite the figures, or unknown. */
  caveat?: string;
}

/** The values of a column, one a round. */
export function columnValues(result: CandidateResult | undefined, column: string): (number | undefined)[] {
  return result?.figures.map((figure) => figure?.values[column]) ?? [];
}

/** The first caveat of any of its figures. */
export function caveatOf(result: CandidateResult | undefined): string | undefined {
  return result?.figures.find((figure) => figure?.caveat !== undefined)?.caveat;
}

/** Verdicts on a column's goals. */
export function judge(
  goals: readonly Goal[],
  name: string,
  column: Column,
  results: readonly CandidateResult[],
): Verdict[] {
  const field = new Field(name, column, results);
  const measured = new Set(results.map((result) => result.name));
  // Nothing is to be compared with, unless an earlier state is given.
  const asked = goals.filter((goal) => !('than' in goal) || goal.than !== beforeName || measured.has(beforeName));
  return asked.map((goal) => {
    if ('thanColumn' in goal) return field.againstColumn(goal);
    if ('thanEachPeer' in goal) return field.againstEachPeer(goal.thanEachPeer);
    if ('plus' in goal) return field.difference(goal.than, goal.plus);
    if ('ratio' in goal) return field.ratio(goal.than, goal.ratio, goal.of);
    return field.value(goal.value, goal.orBestPeer);
  });
}

interface Question {
  /** The goal in words. */
  text: string;
  values: readonly (number | undefined)[];
  unit: string;
  decimals: number;
  reaches(median: number): boolean;
  /** The candidate that is compared with. */
  than?: string;
  /** The candidate of this package; builtin unless given. */
  of?: string;
}

/** All candidates' values of one column. */
class Field {
  readonly #column: Column;
  readonly #values: ReadonlyMap<string, (number | undefined)[]>;
  readonly #results: readonly CandidateResult[];

  constructor(name: string, column: Column, results: readonly CandidateResult[]) {
    this.#column = column;
    this.#results = results;
    this.#values = new Map(results.map((result) => [result.name, columnValues(result, name)]));
  }

  ratio(than: string, ratio: number, of: string = ownName): Verdict {
    const text = `${of === ownName ? '' : `${of} `}${this.#compared(ratio, than)}`;
    const ratios = this.#ratios(than, of);
    const reaches = (reached: number) => this.#reaches(reached, ratio);
    return this.#verdict({ text, values: ratios, unit: '', decimals: 2, reaches, than, of });
  }

  againstEachPeer(ratio: number): Verdict {
    const peers = this.#peers().map((name) => ({ name, ratios: this.#ratios(name) }));
    const better = (a: number, b: number) => (this.#column.less ? b - a : a - b);
    // The strongest peer is the one to which our ratio is lowest.
    const [strongest] = peers.sort((a, b) => better(median(a.ratios), median(b.ratios)));
    const text = this.#compared(ratio, 'each of the others');
    if (strongest === undefined) return { text, caveat: 'none of them has figures' };
    const verdict = this.ratio(strongest.name, ratio);
    return { ...verdict, text: `${text} (here ${strongest.name})` };
  }

  difference(than: string, plus: number): Verdict {
    const { unit, decimals } = this.#column;
    const differences = roundDifferences(this.#own(), this.#values.get(than) ?? []);
    const text = `at most ${than} + ${plus} ${unit}`;
    return this.#verdict({ text, values: differences, unit, decimals, reaches: (reached) => reached <= plus, than });
  }

  /** Our value against that of another column in the same round. */
  againstColumn({ thanColumn, title, ...bound }: ColumnGoal): Verdict {
    const { unit, decimals } = this.#column;
    const own = this.#results.find((result) => result.name === ownName);
    const others = columnValues(own, thanColumn);
    if ('plus' in bound) {
      const { plus } = bound;
      const values = roundDifferences(this.#own(), others);
      const text = `at most ${plus} ${unit} more than ${title}`;
      return this.#verdict({ text, values, unit, decimals, reaches: (reached) => reached <= plus });
    }
    const values = roundRatios(this.#own(), others);
    const text = `${this.#bound} ${bound.ratio} x what it is ${title}`;
    const reaches = (reached: number) => this.#reaches(reached, bound.ratio);
    return this.#verdict({ text, values, unit: '', decimals: 2, reaches });
  }

  value(value: number, orBestPeer = false): Verdict {
    const { unit, decimals, less } = this.#column;
    const others = orBestPeer ? this.#peers().map((name) => this.#median(name)) : [];
    const goal = less ? Math.max(value, Math.min(...others)) : Math.min(value, Math.max(...others));
    const text = `${this.#bound} ${value}${unit && ` ${unit}`}${orBestPeer ? ', or the best of the others' : ''}`;
    const reaches = (reached: number) => this.#reaches(reached, others.length > 0 ? goal : value);
    return this.#verdict({ text, values: this.#own(), unit, decimals, reaches });
  }

  get #bound(): string {
    return this.#column.less ? 'at most' : 'at least';
  }

  #compared(ratio: number, than: string): string {
    if (ratio === 1 && than !== 'direct') return `${this.#column.less ? 'below' : 'above'} ${than}`;
    return `${this.#bound} ${ratio} x ${than}`;
  }

  #reaches(reached: number, goal: number): boolean {
    return this.#column.less ? reached <= goal : reached >= goal;
  }

  #own(): (number | undefined)[] {
    return this.#values.get(ownName) ?? [];
  }

  #ratios(than: string, of: string = ownName): number[] {
    return roundRatios(this.#values.get(of) ?? [], this.#values.get(than) ?? []);
  }

  #median(name: string): number {
    return median((this.#values.get(name) ?? []).filter((value) => value !== undefined));
  }

  /** Peers with figures and without caveats. */
  #peers(): string[] {
    const usable = this.#results.filter((result) => result.peer && caveatOf(result) === undefined);
    return usable.map(({ name }) => name).filter((name) => this.#ratios(name).length > 0);
  }

  #verdict({ text, values, unit, decimals, reaches, than, of = ownName }: Question): Verdict {
    const known = values.filter((value) => value !== undefined);
    if (known.length === 0) {
      const lacking = [of, than].find((name) => name !== undefined && Number.isNaN(this.#median(name)));
      return { text, caveat: `no figures of ${lacking ?? of}` };
    }
    const reached = { ...summarize(known), unit, decimals };
    const rounds = { met: known.filter(reaches).length, of: known.length };
    const find = (name: string | undefined) => this.#results.find((result) => result.name === name);
    const spoilt = [of, than].find((name) => caveatOf(find(name)) !== undefined);
    if (spoilt !== undefined)
      return { text, reached, rounds, met: false, caveat: `the figures of ${spoilt} do not count` };
    return { text, reached, rounds, met: reaches(reached.median) };
  }
}
