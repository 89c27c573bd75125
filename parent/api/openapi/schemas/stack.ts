/** What the stack itself answers with: information, ports, flows, policies, errors, events. */
import * as z from 'zod';
import type { ContainerEgressReport, EgressReport } from '../../../../protocol/api/egress.js';
import type { LimitReport } from '../../../../protocol/api/limit.js';
import type { TraceReport } from '../../../../protocol/api/trace.js';
import type { Flow, Info, NetworkDriverInfo, PortDriverInfo, PortReport } from '../../../../protocol/api/types.js';
import type { ErrorBody } from '../../../../protocol/errors/error-body.js';
import type { PortSpec, PortStatus } from '../../../../protocol/ports/rootlesskit-json.js';

const text = z.string();
const count = z.int().min(0);
const port = z.int().min(0).max(65_535);

export const errorBody: z.ZodType<ErrorBody> = z
  .strictObject({
    message: text.describe('In one line, without the hint.'),
    code: text.describe('A word that stays when the message changes.'),
    hint: text.exactOptional().describe('What the user can do.'),
    field: text.exactOptional().describe('Path of the value in the request that is wrong, such as `dns.0`.'),
  })
  .describe("Every error. RootlessKit's have `message` alone.");

const networkDriver: z.ZodType<NetworkDriverInfo> = z.strictObject({
  driver: text,
  dns: z.array(text).exactOptional(),
  childIP: text.exactOptional(),
  dynamicChildIP: z.boolean().exactOptional(),
  ipv6: z.boolean().exactOptional(),
  device: text.exactOptional().describe("The child's device."),
  prefix: z.int().exactOptional(),
  gateway: text.exactOptional(),
  mtu: z.int().exactOptional().describe('In bytes.'),
});

const portDriver: z.ZodType<PortDriverInfo> = z.strictObject({
  driver: text,
  protos: z.array(text),
  disallowLoopbackChildIP: z.boolean().exactOptional(),
  extra: z.record(text, text).exactOptional(),
  threads: z.int().exactOptional().describe('That relay, where there are several.'),
  hostLoopbackUnguarded: z.boolean().exactOptional(),
});

export const info: z.ZodType<Info> = z.strictObject({
  apiVersion: text,
  version: text,
  stateDir: text,
  name: text.exactOptional().describe("The stack's, if it has one."),
  childPID: z.int(),
  networkDriver: networkDriver.exactOptional().describe("Absent for the host's network."),
  portDriver: portDriver.exactOptional(),
  hostNames: z
    .strictObject({ address: text, answers: z.record(text, count) })
    .exactOptional()
    .describe("The DNS server for the host's programs, and its queries by who has answered."),
});

const specFields = {
  proto: z.enum(['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6']),
  parentIP: text.exactOptional().describe('Address on the host; absent or "" for every address.'),
  parentPort: port.describe('Port on the host; 0 for any free one.'),
  childPort: port.min(1),
  childIP: text.exactOptional().describe('Address inside; by the dial rule where it is absent.'),
  count: z.int().min(1).max(65_535).exactOptional().describe('So many consecutive ports, on both sides.'),
  proxyProtocol: z.union([z.literal(1), z.literal(2)]).exactOptional(),
};
export const portSpec: z.ZodType<PortSpec> = z.strictObject(specFields);

const statusFields = {
  id: z.int().min(1).describe('Never used again while the stack runs.'),
  spec: portSpec,
  auto: z.literal(true).exactOptional().describe('It is published while something listens inside.'),
  program: text.exactOptional().describe('What listens there: it has chosen its name itself.'),
};
export const portStatus: z.ZodType<PortStatus> = z.strictObject(statusFields);

const listener = z.strictObject({ state: z.enum(['listening', 'waiting']), reason: text.exactOptional() });

export const portReport: z.ZodType<PortReport> = z.strictObject({
  ...statusFields,
  listener: listener.exactOptional(),
  counters: z
    .strictObject({ open: count, opened: count, refused: count, bytesIn: count, bytesOut: count })
    .exactOptional(),
  source: z
    .enum(['client', 'agent', 'both'])
    .exactOptional()
    .describe('Whose address servers have seen of clients that are not on loopback.'),
  refusals: z.record(text, count).exactOptional().describe('Refused connections, by the reason.'),
  bypass: z.boolean().exactOptional(),
  bypassReason: text.exactOptional(),
  persistent: z.boolean().exactOptional(),
  container: text.exactOptional().describe('Id of the container that it leads to.'),
});

const addresses = {
  protocol: z.enum(['tcp', 'udp']),
  connection: z.int(),
  client: text,
  destination: text,
  host: text,
  name: text.exactOptional(),
};
export const flow: z.ZodType<Flow> = z.strictObject({
  ...addresses,
  direction: z.enum(['out', 'in']),
  port: z.int().exactOptional(),
  state: z.enum(['connecting', 'open', 'half-closed', 'unanswered']).exactOptional(),
  source: z.enum(['client', 'agent']).exactOptional().describe('Whose address the server sees.'),
  program: z.strictObject({ pid: z.int(), name: text }).exactOptional(),
  container: text.exactOptional(),
  bytesSent: count,
  bytesReceived: count,
  since: z.number().describe('In ms since the epoch.'),
  verdict: z.literal('allowed'),
});

export const traceReport: z.ZodType<TraceReport> = z.strictObject({
  address: text,
  port: z.int().exactOptional(),
  container: text.exactOptional(),
  answers: z.boolean().describe('Whether a client would be answered.'),
  steps: z.array(
    z.strictObject({
      step: z.enum(['port', 'listener', 'agent', 'address', 'source']),
      ok: z.boolean(),
      text,
      address: text.exactOptional(),
      error: text.exactOptional(),
    }),
  ),
  hint: text.exactOptional(),
});

const decisions = { allowed: count, denied: count, names: count };
const ruleReports = z.array(z.strictObject({ rule: text, ...decisions }));
const egressFields = {
  default: z.enum(['allow', 'deny']),
  counters: z.strictObject(decisions),
  rules: ruleReports,
  overlay: ruleReports.exactOptional().describe('Where tunnels of overlay networks lead.'),
  learned: z.strictObject({ file: text, rules: z.array(text), full: z.boolean() }).exactOptional(),
};
export const egressReport: z.ZodType<EgressReport> = z.strictObject(egressFields);
export const containerEgressReport: z.ZodType<ContainerEgressReport> = z.strictObject({
  ...egressFields,
  networks: z.record(text, egressReport),
});

export const limitReport: z.ZodType<LimitReport> = z.strictObject({
  limit: text,
  dropped: z.strictObject({ outgoing: count, incoming: count }),
});
