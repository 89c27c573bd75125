/** Apart from the listing of flows, which is loaded at its first use. */
import type { OutboundFlowEvent } from '../engine/engine-host.js';
import { printable } from '../errors.js';
import type { EventBody } from '../port/driver.js';

/** The event of the stack that an event of the engine becomes. */
export function outboundEvent({ type, flow }: OutboundFlowEvent): EventBody {
  const { protocol, connection, client, destination, host, bytesSent, bytesReceived } = flow;
  const name = flow.name === '' ? {} : { name: printable(flow.name) };
  const event = { protocol, connection, client, destination, host, ...name };
  return type === 'outbound-opened' ? { type, ...event } : { type, ...event, bytesSent, bytesReceived };
}
