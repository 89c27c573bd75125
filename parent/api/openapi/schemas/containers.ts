/** What is answered about containers, their networks, and networks over several hosts. */
import * as z from 'zod';
import type { ContainerProcess, ContainerUsage } from '../../../../protocol/api/usage.js';
import { requestSchemas } from '../../../../protocol/containers/schemas.js';
import type {
  ContainerReport,
  NameQueryReport,
  NetworkNamesReport,
  NetworkReport,
} from '../../../../protocol/containers/types.js';
import type { OverlayJoined, OverlayReport } from '../../../../protocol/overlay/reports.js';

const text = z.string();
const count = z.int().min(0);

const publishedPort = z.strictObject({
  hostIP: text,
  hostPort: z.int(),
  hostPortEnd: z.int().exactOptional(),
  containerPort: z.int(),
  protocol: z.enum(['tcp', 'udp']),
  count: z.int().exactOptional(),
});

const attached = {
  ports: z.array(publishedPort),
  attachments: z.array(z.strictObject({ network: text, interface: text, mac: text, ips: z.array(text) })),
  results: z.record(text, z.unknown()).describe('CNI results by network.'),
};
/** What a container has after it was connected or disconnected. */
export const attachmentsReport = z.strictObject(attached);

export const containerReport: z.ZodType<ContainerReport> = z.strictObject({
  id: text,
  name: text,
  status: z.enum(['created', 'running', 'restarting', 'exited']),
  pid: z.int().exactOptional().describe("In the stack's pid namespace, while it runs."),
  exitCode: z.int().exactOptional(),
  reason: text.exactOptional().describe('Why the exit code is unknown.'),
  failure: text.exactOptional().describe('Why it could not be started again.'),
  restartCount: count,
  created: text,
  started: text.exactOptional(),
  finished: text.exactOptional(),
  hostname: text,
  ...attached,
  sharedNetwork: z
    .strictObject({
      container: text,
      name: text.exactOptional(),
      state: z.enum(['running', 'stopped', 'removed', 'lost']),
    })
    .exactOptional(),
  sharedBy: z.array(text).exactOptional(),
  request: requestSchemas.ContainerRequest,
  directory: text,
});

const number = z.number();
export const containerUsage: z.ZodType<ContainerUsage> = z.strictObject({
  id: text,
  name: text,
  cpuTime: number.exactOptional().describe('In µs.'),
  memory: number.exactOptional().describe('In bytes.'),
  memoryLimit: number.exactOptional(),
  processes: number.exactOptional(),
  received: number.exactOptional(),
  sent: number.exactOptional(),
  read: number.exactOptional(),
  written: number.exactOptional(),
});

export const containerProcess: z.ZodType<ContainerProcess> = z.strictObject({
  pid: z.int(),
  parent: z.int(),
  uid: z.int(),
  cpuTime: number.describe('In s.'),
  started: number.describe('In ms since the epoch.'),
  command: text,
});

export const networkReport: z.ZodType<NetworkReport> = z.strictObject({
  name: text,
  id: text,
  driver: text,
  own: z.boolean(),
  file: text,
  created: text.exactOptional(),
  subnets: z.array(z.strictObject({ subnet: text, gateway: text.exactOptional() })),
  internal: z.boolean(),
  egress: z.array(text).exactOptional(),
  labels: z.record(text, text),
  containers: z.record(text, z.strictObject({ name: text, mac: text, ips: z.array(text) })),
  conflist: z.unknown().describe('The content of its network configuration list (CNI).'),
});

export const networkNamesReport: z.ZodType<NetworkNamesReport> = z.strictObject({
  network: text,
  servers: z.array(text),
  problem: text,
  answers: z.record(text, count),
});

export const nameQueryReport: z.ZodType<NameQueryReport> = z.strictObject({
  name: text,
  type: text,
  status: text,
  records: z.array(z.strictObject({ name: text, type: text, ttl: count, data: text })),
  from: text,
  reason: text,
});

export const garbageReport = z.strictObject({ kind: text, what: text, repaired: z.boolean() });

export const overlayReport: z.ZodType<OverlayReport> = z.strictObject({
  name: text,
  mode: z.enum(['static', 'etcd']),
  networks: z.array(text),
  internal: z.boolean(),
  condition: z.enum(['ready', 'waiting', 'lost', 'expelled', 'duplicate', 'failed']),
  reason: text.exactOptional(),
  endpoints: z.array(text).exactOptional(),
  prefix: text.exactOptional(),
  members: z.array(
    z.strictObject({
      host: text,
      name: text,
      publicKey: text,
      address: text,
      port: z.int(),
      subnets: z.array(text),
      self: z.boolean(),
      alive: z.boolean().exactOptional(),
      handshakeAge: z.number().exactOptional(),
      bytesSent: z.number().exactOptional(),
      bytesReceived: z.number().exactOptional(),
      latency: z.number().exactOptional(),
      version: text.exactOptional(),
    }),
  ),
});

export const overlayJoined: z.ZodType<OverlayJoined> = z.strictObject({
  name: text,
  subnets: z.array(text),
  token: text,
});
