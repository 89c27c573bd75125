/**
 * `--learn`: everything is allowed, and the rules that it would have needed go to a file, every few seconds and at the end. What
 * they are is decided in the engine (native/src/policy/learner.h).
 */
import type { LearnedRule } from '../../native/index.js';
import type { EgressReport } from '../../protocol/api/egress.js';
import { parseRule } from '../../protocol/egress/grammar.js';
import type { LearnedFile } from '../../protocol/egress/learned-file.js';
import { type EgressRule, formatRule, RESERVED_WORDS } from '../../protocol/egress/rule.js';
import { errorText } from '../errors.js';
import type { LearningGateway } from '../network/driver.js';
import type { EgressHost } from './host.js';

/** Between two looks for what is new, in ms: that much a crash loses. */
const SAVE_INTERVAL_MS = 2000;

export class Learning {
  /** As many as the engine had at the last look. */
  #known = 0;
  #full = false;
  #rules: readonly EgressRule[] = [];
  #isSaved = false;
  #complaint = '';
  readonly #timer: NodeJS.Timeout;

  /** It has begun when this returns. */
  constructor(
    private readonly gateway: LearningGateway,
    private readonly file: LearnedFile,
    private readonly host: EgressHost,
    private readonly warn: (line: string) => void,
  ) {
    this.#follow();
    this.host.watch(() => this.#follow());
    this.#timer = setInterval(() => this.save(), SAVE_INTERVAL_MS).unref();
  }

  report(): NonNullable<EgressReport['learned']> {
    this.save();
    return { file: this.file.path, rules: this.#rules.map(formatRule), full: this.#full };
  }

  /** Writes what is new. Never throws: it is tried again. */
  save(): void {
    try {
      const { rules, full } = this.gateway.learnedRules(this.#known);
      if (rules.length > 0) {
        this.#known = rules.length;
        this.#rules = rulesOf(rules);
        this.#isSaved = false;
      }
      if (full && !this.#full) {
        this.warn('the programs reach more than a policy can have rules for: --learn records no more');
        this.#full = true;
        this.#isSaved = false;
      }
      if (this.#isSaved) return;
      this.file.write(this.#rules, { full: this.#full });
      this.#isSaved = true;
    } catch (error) {
      const complaint = `what was learned is not written: ${errorText(error)}`;
      if (complaint !== this.#complaint) this.warn(complaint);
      this.#complaint = complaint;
    }
  }

  /** Writes what is new, and ends. */
  close(): void {
    clearInterval(this.#timer);
    this.save();
  }

  /** The host's addresses are not written as such. */
  #follow(): void {
    try {
      this.gateway.learnEgress(this.host.addresses());
    } catch {
      // They are read again at their next change.
    }
  }
}

/** As rules, without those that another one contains. */
export function rulesOf(learned: readonly LearnedRule[]): EgressRule[] {
  const connected = new Set(learned.filter(isOfName).map(({ text }) => text));
  return learned
    .filter(({ protocol, text }) => protocol !== 'dns' || !connected.has(text))
    .flatMap(({ protocol, place, text, port }) => {
      const name = place === 'name' && RESERVED_WORDS.includes(text) ? `${text}.` : text;
      const where = place === 'host' ? 'host' : port > 0 && text.includes(':') ? `[${text}]` : name;
      try {
        return [parseRule('allow', `${protocol}:${where}${port > 0 ? `:${port}` : ''}`, '--learn')];
      } catch {
        // A name that rules cannot have, such as localhost.
        return [];
      }
    });
}

function isOfName({ protocol, place }: LearnedRule): boolean {
  return place === 'name' && protocol !== 'dns';
}
