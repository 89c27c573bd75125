/** Requests that the stack itself answers. */
import * as z from 'zod';
import { requestSchemas } from '../../../protocol/containers/schemas.js';
import { programRequest } from '../programs/request.js';
import type { Operation } from './operation.js';
import {
  egressReport,
  flow,
  info,
  limitReport,
  portReport,
  portSpec,
  portStatus,
  traceReport,
} from './schemas/stack.js';

const PERSIST = { persist: { type: 'boolean', description: 'Keep it for later starts of the stack.' } } as const;
const OUTSIDE = 'Refused to programs of the stack.';

export const stackOperations: readonly Operation[] = [
  {
    ...{ method: 'GET', path: '/info', tag: 'stack', summary: 'Versions, state directory, network and port driver' },
    status: 200,
    answer: info,
    example: { path: '/info' },
  },
  {
    ...{ method: 'GET', path: '/openapi.json', tag: 'stack', summary: 'This description' },
    status: 200,
    answer: z.record(z.string(), z.unknown()),
    example: { path: '/openapi.json' },
  },
  {
    ...{ method: 'POST', path: '/ports', tag: 'ports', summary: 'Publish a port, a range, or a list: all or none' },
    query: PERSIST,
    body: z.union([portSpec, z.array(portSpec).min(1).max(10_000)]),
    status: 201,
    answer: z.union([portStatus, z.array(portStatus)]),
    errors: [400, 413],
    example: {
      path: '/ports',
      body: { proto: 'tcp', parentIP: '127.0.0.1', parentPort: 0, childPort: 80 },
    },
  },
  {
    ...{ method: 'GET', path: '/ports', tag: 'ports', summary: 'Published ports; null if there are none' },
    query: { counters: { type: 'boolean', description: 'With counters, and the state of each listener.' } },
    status: 200,
    answer: z.array(portReport).nullable(),
    errors: [400],
    example: { path: '/ports?counters=true' },
  },
  {
    ...{ method: 'GET', path: '/ports/{id}/limit', tag: 'ports', summary: 'The rate limit of a port' },
    status: 200,
    answer: limitReport,
    errors: [400, 503],
    example: { path: '/ports/1/limit' },
  },
  {
    ...{ method: 'PUT', path: '/ports/{id}/limit', tag: 'ports', summary: 'Limit the rate of a port' },
    body: requestSchemas.LimitChange,
    status: 200,
    answer: limitReport,
    errors: [400, 403, 503],
    description: OUTSIDE,
    example: { path: '/ports/1/limit', body: { limit: '10M' } },
  },
  {
    ...{ method: 'DELETE', path: '/ports/{id}', tag: 'ports', summary: 'Remove a port' },
    status: 200,
    errors: [400],
    example: { path: '/ports/1' },
  },
  {
    ...{ method: 'DELETE', path: '/ports', tag: 'ports', summary: 'Remove ports: all or none' },
    query: { ids: { type: 'string', required: true, description: 'Ids and ranges of ids, such as `1-1000,1007`.' } },
    status: 200,
    errors: [400],
  },
  {
    ...{ method: 'GET', path: '/flows', tag: 'stack', summary: 'Open connections, and UDP flows' },
    query: {
      limit: { type: 'integer', description: 'So many of each direction at most; 1000 unless given.' },
      programs: { type: 'boolean', description: 'False: without the programs, which costs less.' },
    },
    status: 200,
    answer: z.array(flow),
    errors: [400],
    example: { path: '/flows?limit=10' },
  },
  {
    ...{ method: 'GET', path: '/trace', tag: 'stack', summary: 'Whether an address of the host would be answered' },
    query: { address: { type: 'string', required: true, description: 'As `127.0.0.2:8080`, with `/udp` for UDP.' } },
    status: 200,
    answer: traceReport,
    errors: [400],
    example: { path: '/trace?address=127.0.0.1:1' },
  },
  {
    ...{ method: 'GET', path: '/metrics', tag: 'stack', summary: "Metrics, in Prometheus' text format" },
    absolute: true,
    status: 200,
  },
  {
    ...{ method: 'GET', path: '/events', tag: 'stack', summary: 'Events, as a WebSocket' },
    query: { queries: { type: 'boolean', description: 'With events of DNS queries.' } },
    status: 101,
    errors: [426],
    description: 'Each text frame is one event as JSON, with `time` in ms since the epoch and `type`.',
  },
  {
    ...{ method: 'GET', path: '/programs', tag: 'stack', summary: 'Run a program in the namespaces, as a WebSocket' },
    body: programRequest,
    status: 101,
    errors: [403, 426],
    description: `The body is the first text frame; then frames are those of containers' streams. ${OUTSIDE}`,
  },
  {
    ...{ method: 'GET', path: '/egress', tag: 'egress', summary: 'The egress policy, with what it has decided' },
    status: 200,
    answer: egressReport,
    errors: [503],
    example: { path: '/egress' },
  },
  {
    ...{ method: 'POST', path: '/egress', tag: 'egress', summary: 'Add rules: all or none' },
    body: requestSchemas.EgressChange,
    status: 200,
    answer: egressReport,
    errors: [400, 403, 503],
    description: OUTSIDE,
    example: { path: '/egress', body: { rules: ['deny 192.0.2.0/24:25'] } },
  },
  {
    ...{ method: 'DELETE', path: '/egress', tag: 'egress', summary: 'Remove rules: all or none' },
    body: requestSchemas.EgressChange,
    status: 200,
    answer: egressReport,
    errors: [400, 403, 503],
    description: OUTSIDE,
    example: { path: '/egress', body: { rules: ['deny 192.0.2.0/24:25'] } },
  },
  {
    ...{ method: 'PUT', path: '/limit', tag: 'egress', summary: 'Limit the rate of the stack' },
    body: requestSchemas.LimitChange,
    status: 200,
    answer: limitReport,
    errors: [400, 403, 503],
    description: OUTSIDE,
    example: { path: '/limit', body: { limit: '10M:unlimited' } },
  },
  {
    ...{ method: 'GET', path: '/limit', tag: 'egress', summary: 'The rate limit of the stack' },
    status: 200,
    answer: limitReport,
    errors: [503],
    example: { path: '/limit' },
  },
];
