/** Events of containers and networks as `docker events` shows them. */
import type { ContainerEvent } from '../../../protocol/api/types.js';
import { Dictionary, type Struct } from '../template/index.js';
import { type FilterKinds, oneOf } from './filters.js';

export type TimedEvent = ContainerEvent & { time: number };

const ACTIONS: Readonly<Record<ContainerEvent['type'], readonly [type: 'container' | 'network', action: string]>> = {
  'container-created': ['container', 'create'],
  'container-started': ['container', 'start'],
  'container-exited': ['container', 'die'],
  'container-removed': ['container', 'destroy'],
  'network-created': ['network', 'create'],
  'network-removed': ['network', 'destroy'],
  'network-connected': ['network', 'connect'],
  'network-disconnected': ['network', 'disconnect'],
};

export function isContainerEvent(event: { type: string }): event is TimedEvent {
  return Object.hasOwn(ACTIONS, event.type);
}

/** The fields of docker's events. Networks that a container joins or leaves have its id as `container`. */
export function eventView(event: TimedEvent): Struct {
  const [type, action] = ACTIONS[event.type];
  const { time } = event;
  return {
    status: action,
    id: actorOf(event),
    Type: type,
    Action: action,
    Actor: { ID: actorOf(event), Attributes: new Dictionary(attributesOf(event), '') },
    scope: 'local',
    time: Math.floor(time / 1000),
    timeNano: time * 1_000_000,
  };
}

/** A line, without its end. */
export function eventLine(event: TimedEvent): string {
  const [type, action] = ACTIONS[event.type];
  const attributes = Object.entries(attributesOf(event)).map(([name, value]) => `${name}=${value}`);
  return `${new Date(event.time).toISOString()} ${type} ${action} ${actorOf(event)} (${attributes.join(', ')})`;
}

/** Of a network that a container joins its name: its id is not known then. */
function actorOf(event: TimedEvent): string {
  return 'container' in event && 'network' in event ? event.network : event.id;
}

function attributesOf(event: TimedEvent): Record<string, string> {
  if ('network' in event) {
    return { ...('container' in event && { container: event.id }), name: event.network };
  }
  const exitCode = 'exitCode' in event && event.exitCode !== undefined && { exitCode: `${event.exitCode}` };
  return { ...exitCode, name: event.container };
}

/** `--filter` of events. */
export const EVENT_FILTERS: FilterKinds<TimedEvent> = {
  type: (value) => {
    const type = oneOf(value, ['container', 'network']);
    return (event) => ACTIONS[event.type][0] === type;
  },
  event: (value) => {
    const wanted = oneOf(value, [...new Set(Object.values(ACTIONS).map(([, action]) => action))]);
    return (event) => ACTIONS[event.type][1] === wanted;
  },
  container: (value) => (event) => 'container' in event && (event.container === value || isIdOf(event.id, value)),
  network: (value) => (event) => 'network' in event && (event.network === value || isIdOf(event.id, value)),
};

function isIdOf(id: string, text: string): boolean {
  return text.length >= 3 && id.startsWith(text);
}
