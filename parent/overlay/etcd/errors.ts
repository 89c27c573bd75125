import { type ErrorDetails, ExpectedError } from '../../../protocol/errors/expected-error.js';

/** etcd has refused a request. The message is etcd's own. */
export class EtcdError extends ExpectedError {
  override name = 'EtcdError';
  override readonly code: string = 'etcd';
  override readonly httpStatus = 503;
  constructor(
    message: string,
    /** Of gRPC: 3 for an invalid argument, 7 for a denied permission, 16 for an unknown user … */
    readonly status: number,
    details?: ErrorDetails,
  ) {
    super(`etcd: ${message}`, details);
  }
}

/** No endpoint has answered in time. */
export class EtcdUnreachableError extends ExpectedError {
  override name = 'EtcdUnreachableError';
  override readonly code: string = 'etcd-unreachable';
  override readonly httpStatus = 503;
  constructor(endpoints: readonly string[], why: string) {
    super(`etcd does not answer at ${endpoints.join(', ')}: ${why}`, {
      hint: 'check that it runs, has a leader, and is reachable from this host: etcdctl endpoint status --cluster',
    });
  }
}
