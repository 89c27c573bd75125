/** Resource limits of a container's processes (getrlimit(2)): the option --ulimit. */
import { ContainerOptionError } from './option-error.js';

export const RLIMITS = [
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
] as const;

export interface Ulimit {
  name: (typeof RLIMITS)[number];
  /** -1 for no limit. */
  soft: number;
  hard: number;
}

/** `NAME=SOFT[:HARD]`. Throws ContainerOptionError. */
export function parseUlimit(text: string): Ulimit {
  const [, known, first, second = first] = /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(text) ?? [];
  const name = RLIMITS.find((limit) => limit === known);
  if (name === undefined || first === undefined) {
    throw new ContainerOptionError(
      `invalid ulimit ${JSON.stringify(text)}: expected NAME=SOFT[:HARD] with a NAME of ${RLIMITS.join(', ')}, such as nofile=1024:4096`,
    );
  }
  const limit = { name, soft: Number(first), hard: Number(second) };
  const problem = ulimitProblem(limit);
  if (problem !== undefined) throw new ContainerOptionError(`invalid ulimit ${JSON.stringify(text)}: ${problem}`);
  return limit;
}

export function ulimitProblem({ soft, hard }: Ulimit): string | undefined {
  const exceeds = hard !== -1 && (soft === -1 || soft > hard);
  return exceeds ? 'the soft limit exceeds the hard one' : undefined;
}
