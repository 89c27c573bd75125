/** What programs of a stack may reach, while it runs. */
import type { EgressReport } from '../../protocol/api/egress.js';
import type { StackClient } from '../client/stack-client.js';
import { type Abortable, abortable } from './abort.js';

/** Rules as on the command line, such as `registry.npmjs.org:443` or `10.0.0.0/8`. Open connections continue. */
export class Egress {
  readonly #client: StackClient;

  constructor(client: StackClient) {
    this.#client = client;
  }

  /** The rules, with what each has decided. */
  report({ signal }: Abortable = {}): Promise<EgressReport> {
    return abortable(signal, () => this.#client.egress());
  }

  allow(...rules: string[]): Promise<EgressReport> {
    return this.#client.changeEgress('POST', withVerb('allow', rules));
  }

  deny(...rules: string[]): Promise<EgressReport> {
    return this.#client.changeEgress('POST', withVerb('deny', rules));
  }

  /** Limits the rates of all that goes out and comes in; `unlimited` ends that. */
  async setLimit(limit: string, { signal }: Abortable = {}): Promise<void> {
    await abortable(signal, () => this.#client.setLimit(limit));
  }

  /** Removes rules, given with their verb: `allow example.com`. */
  remove(...rules: string[]): Promise<EgressReport> {
    return this.#client.changeEgress('DELETE', rules);
  }
}

function withVerb(verb: 'allow' | 'deny', rules: readonly string[]): string[] {
  return rules.map((rule) => `${verb} ${rule}`);
}
