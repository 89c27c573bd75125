/** Requests about containers, their networks, and networks over several hosts; the agent answers most of them. */
import * as z from 'zod';
import { requestSchemas } from '../../../protocol/containers/schemas.js';
import { request as overlayRequest } from '../../../protocol/overlay/schemas.js';
import type { Operation, Parameter } from './operation.js';
import {
  attachmentsReport,
  containerProcess,
  containerReport,
  containerUsage,
  garbageReport,
  nameQueryReport,
  networkNamesReport,
  networkReport,
  overlayJoined,
  overlayReport,
} from './schemas/containers.js';
import { containerEgressReport, egressReport, limitReport } from './schemas/stack.js';

const text = (description: string): Parameter => ({ type: 'string', description });
const ENDING = {
  timeout: { type: 'integer', description: 'Seconds after which it is killed; -1 for never.' },
  signal: text('The signal that it gets first, by name or number.'),
} as const;
const FRAMES = 'Binary frames begin with the number of a stream (0, 1, 2); text frames are control messages as JSON.';

const { ContainerRequest, ExecRequest, EgressChange, LimitChange, NetworkRequest, NetworkUpdate } = requestSchemas;

type Rest = Omit<Operation, 'method' | 'path' | 'summary' | 'tag' | 'status'> & { status?: Operation['status'] };

/** A row of the tables: `POST /containers/{name}/start`. */
function row(tag: Operation['tag'], request: string, summary: string, rest: Rest = {}): Operation {
  const [method = '', path = ''] = request.split(' ');
  return { method: method as Operation['method'], path, summary, tag, status: 200, ...rest };
}
const containers = (request: string, summary: string, rest?: Rest) => row('containers', request, summary, rest);
const networks = (request: string, summary: string, rest?: Rest) => row('networks', request, summary, rest);
const overlays = (request: string, summary: string, rest?: Rest) => row('overlays', request, summary, rest);
const at = (path: string, body?: unknown) => ({ example: body === undefined ? { path } : { path, body } });

export const containerOperations: readonly Operation[] = [
  networks('POST /networks', 'Create a network', {
    body: NetworkRequest,
    status: 201,
    answer: networkReport,
    errors: [400, 409],
    ...at('/networks', { name: 'db', internal: true }),
  }),
  networks('GET /networks', 'All networks', { answer: z.array(networkReport), ...at('/networks') }),
  networks('GET /networks/{name}', 'One network', { answer: networkReport, ...at('/networks/db') }),
  containers('POST /containers', 'Create a container', {
    body: ContainerRequest,
    status: 201,
    answer: containerReport,
    errors: [400, 409, 413],
    ...at('/containers', {
      name: 'web',
      rootfs: '/srv/rootfs',
      command: ['sleep', '1000'],
      env: ['MODE=test'],
      network: { mode: 'networks', networks: [{ network: 'db', aliases: ['www'] }] },
      publish: [{ hostIP: '127.0.0.1', hostPort: 0, containerPort: 80, protocol: 'tcp' }],
    }),
  }),
  containers('GET /containers', 'All containers', { answer: z.array(containerReport), ...at('/containers') }),
  containers('POST /containers/{name}/start', 'Start a container', {
    answer: containerReport,
    errors: [400, 409],
    ...at('/containers/web/start'),
  }),
  containers('GET /containers/{name}', 'One container', { answer: containerReport, ...at('/containers/web') }),
  containers('GET /usage', 'What running containers use', { answer: z.array(containerUsage), ...at('/usage') }),
  containers('GET /containers/{name}/processes', 'Processes of a container', {
    answer: z.array(containerProcess),
    ...at('/containers/web/processes'),
  }),
  containers('POST /containers/{name}/exec', 'Prepare one more program; its stream starts it', {
    body: ExecRequest,
    status: 201,
    answer: z.strictObject({ id: z.string() }),
    errors: [400, 409],
    ...at('/containers/web/exec', { command: ['id', '-u'] }),
  }),
  containers('GET /containers/{name}/exec', 'Start a prepared program, as a WebSocket', {
    status: 101,
    query: { id: { ...text('From the request that prepared it.'), required: true } },
    errors: [400, 426],
    description: FRAMES,
  }),
  containers('GET /containers/{name}/attach', 'Streams of a container, as a WebSocket', {
    status: 101,
    query: {
      start: { type: 'boolean', description: 'Start it first.' },
      logs: { type: 'boolean', description: 'Begin with what it has written.' },
      follow: { type: 'boolean', description: 'False: only what it has written.' },
      columns: { type: 'integer', description: 'Of its terminal.' },
      rows: { type: 'integer', description: 'Of its terminal.' },
    },
    errors: [409, 426],
    description: FRAMES,
  }),
  containers('GET /containers/{name}/logs', 'What a container has written, as a WebSocket', {
    status: 101,
    query: {
      follow: { type: 'boolean', description: 'Go on until it ends.' },
      since: text('A time (RFC 3339, seconds since 1970), or a duration before now.'),
      until: text('The same.'),
      tail: text('A number of lines from the end, or `all`.'),
      timestamps: { type: 'boolean', description: 'Each line begins with its time.' },
    },
    errors: [400, 426],
    description: FRAMES,
  }),
  containers('POST /containers/{name}/egress', 'Add rules: all or none', {
    body: EgressChange,
    answer: containerEgressReport,
    errors: [400, 503],
    ...at('/containers/web/egress', { rules: ['deny 192.0.2.0/24:25'] }),
  }),
  containers('GET /containers/{name}/egress', 'What it may reach', {
    answer: containerEgressReport,
    ...at('/containers/web/egress'),
  }),
  containers('DELETE /containers/{name}/egress', 'Remove rules: all or none', {
    body: EgressChange,
    answer: containerEgressReport,
    errors: [400, 503],
    ...at('/containers/web/egress', { rules: ['deny 192.0.2.0/24:25'] }),
  }),
  containers('PUT /containers/{name}/limit', 'Limit the rate of a container', {
    body: LimitChange,
    answer: limitReport,
    errors: [400, 503],
    ...at('/containers/web/limit', { limit: '10M' }),
  }),
  containers('GET /containers/{name}/limit', 'The rate limit of a container', {
    answer: limitReport,
    ...at('/containers/web/limit'),
  }),
  containers('POST /containers/{name}/rename', 'Rename a container', {
    query: { name: { ...text('The new name.'), required: true } },
    errors: [400, 409],
    ...at('/containers/web/rename?name=www'),
  }),
  networks('POST /networks/{name}/disconnect', 'Disconnect a container', {
    query: { container: { ...text('Its name or id.'), required: true } },
    answer: attachmentsReport,
    errors: [400, 409],
    ...at('/networks/db/disconnect?container=www'),
  }),
  networks('POST /networks/{name}/connect', 'Connect a container', {
    query: { container: { ...text('Its name or id.'), required: true } },
    body: requestSchemas.AttachmentRequest.omit({ network: true }),
    answer: attachmentsReport,
    errors: [400, 409],
    ...at('/networks/db/connect?container=www', { aliases: ['web'] }),
  }),
  containers('POST /containers/{name}/kill', 'Send a signal', {
    query: { signal: text('By name or number; KILL unless given.') },
    errors: [400, 409],
    ...at('/containers/www/kill?signal=USR1'),
  }),
  containers('POST /containers/{name}/stop', 'End a container; answered when it has ended', {
    query: ENDING,
    errors: [400],
    ...at('/containers/www/stop?timeout=0'),
  }),
  containers('POST /containers/{name}/wait', 'Answered when it does not run', {
    answer: z.strictObject({ exitCode: z.int().nullable() }),
    ...at('/containers/www/wait'),
  }),
  containers('POST /containers/{name}/restart', 'End a container, and start it', {
    query: ENDING,
    answer: containerReport,
    errors: [400, 409],
    ...at('/containers/www/restart?timeout=0'),
  }),
  containers('DELETE /containers/{name}', 'Remove a container', {
    query: { force: { type: 'boolean', description: 'Kill it first.' } },
    errors: [409],
    ...at('/containers/www?force=true'),
  }),
  networks('GET /networks/{name}/names', 'The DNS server of a network', {
    answer: networkNamesReport,
    ...at('/networks/db/names'),
  }),
  networks('GET /networks/{name}/resolve', 'What its DNS server answers', {
    query: {
      name: { ...text('The name.'), required: true },
      type: text('`A` unless given.'),
      container: text('As which container; as another program of the network unless given.'),
    },
    answer: nameQueryReport,
    errors: [400],
  }),
  networks('POST /networks/{name}/egress', 'Add rules: all or none', {
    body: EgressChange,
    answer: egressReport,
    errors: [400, 503],
  }),
  networks('GET /networks/{name}/egress', 'What its containers may reach', {
    answer: egressReport,
    ...at('/networks/db/egress'),
  }),
  networks('DELETE /networks/{name}/egress', 'Remove rules: all or none', {
    body: EgressChange,
    answer: egressReport,
    errors: [400, 503],
  }),
  networks('POST /networks/{name}/check', 'What is not as it should be', {
    answer: z.strictObject({ problems: z.array(z.string()) }),
    ...at('/networks/db/check'),
  }),
  networks('POST /networks/{name}/update', 'Move it to other subnets, while none of its containers runs', {
    body: NetworkUpdate,
    answer: networkReport,
    errors: [400, 409],
    ...at('/networks/db/update', { subnets: ['10.123.45.0/24'] }),
  }),
  networks('DELETE /networks/{name}', 'Remove a network', { errors: [400, 409], ...at('/networks/db') }),
  networks('POST /networks/prune', 'Remove those that no container refers to', {
    answer: z.strictObject({ removed: z.array(z.string()) }),
    ...at('/networks/prune'),
  }),
  containers('POST /gc', 'Differences between what is recorded and what is there', {
    query: { repair: { type: 'boolean', description: 'Repair them.' } },
    answer: z.array(garbageReport),
    ...at('/gc?repair=true'),
  }),
  overlays('GET /overlays', 'Networks over several hosts', { answer: z.array(overlayReport), ...at('/overlays') }),
  overlays('POST /overlays', 'Make or join one', {
    body: overlayRequest,
    status: 201,
    answer: overlayJoined,
    errors: [400, 403, 409, 503],
  }),
  overlays('GET /overlays/{name}', 'One of them, with its members', { answer: overlayReport }),
  overlays('DELETE /overlays/{name}', 'Leave it', {
    query: {
      remove: { type: 'boolean', description: 'Remove its containers, too.' },
      force: { type: 'boolean', description: 'Also where the registry is not reached.' },
    },
    errors: [403, 409],
  }),
  overlays('POST /overlays/{name}/token', 'A token for other hosts', {
    answer: z.strictObject({ token: z.string() }),
    errors: [403],
  }),
  overlays('POST /overlays/{name}/rotate', 'Change the keys; answered when they are in use', { errors: [403] }),
  overlays('POST /overlays/{name}/expel', 'Remove a member', {
    query: { member: { ...text('Its name or host id.'), required: true } },
    answer: z.strictObject({ name: z.string() }),
    errors: [403],
  }),
];
