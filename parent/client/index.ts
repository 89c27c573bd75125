/** The package's entry `rootless-net/client`: clients of the API of stacks that run. It needs no native part. */
export * from '../../protocol/api/egress.js';
export type { LimitReport } from '../../protocol/api/limit.js';
export type { TraceReport, TraceStep } from '../../protocol/api/trace.js';
export * from '../../protocol/api/types.js';
export type { ContainerProcess, ContainerUsage } from '../../protocol/api/usage.js';
export type { LogOptions } from '../../protocol/containers/log-options.js';
export type { ContainerMount } from '../../protocol/containers/mounts.js';
export type { RestartPolicy } from '../../protocol/containers/restart-policy.js';
export type { Ulimit } from '../../protocol/containers/rlimits.js';
export type * from '../../protocol/containers/types.js';
export type { Origin } from '../../protocol/dns/origins.js';
export type { ErrorBody } from '../../protocol/errors/error-body.js';
export { type ErrorDetails, ExpectedError, type HTTPStatus } from '../../protocol/errors/expected-error.js';
export type {
  OverlayCondition,
  OverlayEtcdRequest,
  OverlayJoined,
  OverlayMemberReport,
  OverlayReport,
  OverlayRequest,
} from '../../protocol/overlay/reports.js';
export type { OverlayMember, OverlayPeerStatus } from '../../protocol/overlay/types.js';
export type { CNIPortMapping } from '../../protocol/ports/cni-json.js';
export type { PortSpec, PortStatus } from '../../protocol/ports/rootlesskit-json.js';
export type { PortCounters, PortSource, PortState, Refusal } from '../../protocol/ports/status.js';
export { type AttachOptions, ContainerClient, type NewContainer, type NewNetwork } from './container-client.js';
export { ContainerStream } from './container-stream.js';
export { APIError, EventStreamError, StackUnreachableError } from './errors.js';
export { OverlayClient } from './overlay-client.js';
export { StackClient } from './stack-client.js';
