// Rows in which a client inside connects to a server elsewhere: behind a veth, as on another host, or to the host's DNS server.
import { processTree } from '../../test/support/process-info.js';
import { type Started, start } from '../../test/support/start.js';
import { unavailable } from '../availability.js';
import type { Candidates } from '../candidates/candidate.js';
import { withFewEndedConnections } from '../environment/network.js';
import { resolverAddress, resolverPort, withResolver } from '../environment/resolver.js';
import { runAs } from '../environment/users.js';
import type { CandidateResult, Environment, Figure, Plan, Row, Target } from '../model.js';
import {
  describe,
  firstPort,
  newResult,
  type Running,
  startCandidate,
  takeRounds,
  writeFiles,
} from '../running/start-candidate.js';
import { stop } from '../running/stop.js';
import { pin, runClient, summary, type Traffic } from './traffic.js';
import { withProcessorTime } from './work.js';

export interface OutboundTraffic extends Pick<Traffic, 'title' | 'columns' | 'program' | 'work' | 'pinned'> {
  /** The server is the host's resolver, and clients ask the DNS server of their network. */
  resolver?: true;
}

/** Keeps a namespace for the clients, which enter it. */
const keeper = ['sleep', 'infinity'];

export function outbound(row: OutboundTraffic): Row {
  return {
    title: row.title,
    columns: row.columns,
    unavailable: (where) =>
      unavailable(row.program, where.root) ??
      (where.network.remote ? undefined : 'creating the network of the server needs root'),
    measure: (plan, where) => {
      const candidates = outboundCandidates(where.candidates);
      const take = () => new Measurement(row, plan, { ...where, candidates }).take();
      const act = () => withFewEndedConnections(where.network, take);
      return row.resolver ? withResolver(where.client.directory, act) : act();
    },
  };
}

/** Those that give a namespace a network, with the command that does so in place of that which publishes ports. */
export function outboundCandidates(all: Candidates): Candidates {
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, candidate]) =>
      candidate.outbound === undefined ? [] : [[name, { ...candidate, ...candidate.outbound }]],
    ),
  );
}

/** A row that is being measured. */
class Measurement {
  readonly #row: OutboundTraffic;
  readonly #plan: Plan;
  readonly #where: Environment;

  constructor(row: OutboundTraffic, plan: Plan, where: Environment) {
    this.#row = row;
    this.#plan = plan;
    this.#where = where;
  }

  async take(): Promise<CandidateResult[]> {
    const server = await this.#startServer();
    const running = new Map<string, Running>();
    try {
      const names = this.#plan.candidates.filter((name) => this.#where.candidates[name] !== undefined);
      const results = names.map((name) => newResult(name, this.#where));
      for (const result of results) await this.#start(result, running);
      const ready = results.filter(({ name }) => running.has(name));
      await takeRounds(ready, this.#plan.rounds, this.#where, async (result, round) => {
        const figure = await this.#measure(running.get(result.name) as Running);
        const { title } = this.#row;
        const counted = `round ${round + 1}/${this.#plan.rounds}`;
        this.#where.progress(`${title}, ${counted}: ${result.name} ${summary(this.#row, figure)}`);
        return figure;
      });
      return results;
    } finally {
      for (const each of running.values()) await each[Symbol.asyncDispose]();
      await stop(server);
    }
  }

  /** One server for all, since they are measured by turns. */
  #startServer(): Promise<Started> {
    const { program, pinned, resolver } = this.#row;
    const account = this.#where.account('server');
    if (program.files) writeFiles(program.files(account.directory), account);
    const port = resolver ? resolverPort : firstPort;
    const own = runAs(account, program.server(port, { root: this.#where.root, directory: account.directory }));
    const elsewhere = resolver ? [] : (this.#where.network.remote?.prefix ?? []);
    const [command = '', ...args] = [...elsewhere, ...pin(pinned), ...own];
    return start(command, args, { ready: program.ready ? { output: program.ready } : { check: () => true } });
  }

  async #start(result: CandidateResult, running: Map<string, Running>): Promise<void> {
    const { name } = result;
    const seconds = Math.min(1, this.#plan.seconds);
    try {
      const candidate = await startCandidate(
        {
          name,
          port: firstPort,
          server: () => keeper,
          prefix: pin(this.#row.pinned),
          tryOut: (_address, _port, started) => this.#runClient(name, started, seconds),
        },
        this.#where,
      );
      running.set(name, candidate);
      const reported = /congestion control: (\w+)/.exec(candidate.started.output())?.[1];
      if (reported !== undefined && this.#row.program.protocol !== 'udp') result.childCongestion = reported;
    } catch (error) {
      result.problem = describe(error);
      this.#where.progress(`${name}: ${result.problem}`);
    }
  }

  #measure({ name, started, relay }: Running): Promise<Figure> {
    const { work } = this.#row;
    return withProcessorTime(work, relay, () => this.#runClient(name, started, this.#plan.seconds));
  }

  /** Runs a client in the network namespace of a candidate's command. */
  #runClient(name: string, started: Started, seconds: number): Promise<Figure> {
    const isKeeper = (args: readonly string[]) => args.join(' ') === keeper.join(' ');
    const inside = processTree(started.pid).find(({ args }) => isKeeper(args));
    if (inside === undefined) throw new Error(started.output().trim() || `${name} has not started its command yet`);
    const prefix = ['nsenter', `--net=/proc/${inside.pid}/ns/net`, ...pin(this.#row.pinned)];
    return runClient(this.#row.program, this.#target(name), { prefix, seconds }, this.#where);
  }

  #target(name: string): Target {
    if (this.#row.resolver) {
      return { address: this.#where.candidates[name]?.outbound?.dns ?? resolverAddress, port: resolverPort };
    }
    return { address: this.#where.network.remote?.address ?? '', port: firstPort };
  }
}
