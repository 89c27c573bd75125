/** Events of containers and networks that the agent reports, which is not trusted: checked, cleaned, and limited in rate. */
import { hasFields, isNumber, isText, optional } from '../../protocol/api/report-shapes.js';
import type { ContainerEvent } from '../../protocol/api/types.js';
import { printable } from '../errors.js';

/** So many at once, as hundreds of containers that start together cause, and then so many a second. Others are dropped. */
const BURST = 4000;
const PER_SECOND = 500;

const FIELDS: Readonly<Record<ContainerEvent['type'], readonly string[]>> = {
  'container-created': ['container', 'id'],
  'container-started': ['container', 'id'],
  'container-exited': ['container', 'id'],
  'container-removed': ['container', 'id'],
  'network-created': ['network', 'id'],
  'network-removed': ['network', 'id'],
  'network-connected': ['network', 'container', 'id'],
  'network-disconnected': ['network', 'container', 'id'],
};

const hasType = hasFields<Record<string, unknown> & { type: string }>({ type: isText });

export class AgentEvents {
  #allowed = BURST;
  #since = performance.now();

  constructor(private readonly emit: (event: ContainerEvent) => void) {}

  onEvent(value: unknown): void {
    const now = performance.now();
    this.#allowed = Math.min(BURST, this.#allowed + ((now - this.#since) / 1000) * PER_SECOND);
    this.#since = now;
    if (this.#allowed < 1) return;
    this.#allowed--;
    const event = parseEvent(value);
    if (event) this.emit(event);
  }
}

/** With clean texts; undefined for anything else. */
export function parseEvent(value: unknown): ContainerEvent | undefined {
  if (!hasType(value) || !Object.hasOwn(FIELDS, value.type)) return undefined;
  const { type, exitCode } = value;
  const names = FIELDS[type as ContainerEvent['type']];
  if (!names.every((name) => isText(value[name])) || !optional(isNumber)(exitCode)) return undefined;
  const texts = Object.fromEntries(names.map((name) => [name, printable(String(value[name]))]));
  const code = type === 'container-exited' && exitCode !== undefined && { exitCode };
  return { type, ...texts, ...code } as ContainerEvent;
}
