/** What the API reports of containers. */

import type { ContainerReport, ContainerStatus } from '../../../protocol/containers/types.js';
import type { CNIPortMapping } from '../../../protocol/ports/cni-json.js';
import type { AttachState } from '../network/attachment-store.js';
import type { ContainerRecord, RunRecord } from '../storage/container-store.js';
import type { EngineContext } from './context.js';
import { openPorts } from './published-ports.js';
import { refreshStatus } from './run-end.js';

export interface ReportedRun {
  run: RunRecord | undefined;
  /** Directory of the container's files. */
  directory: string;
  /** The network of a running container. */
  state?: AttachState | undefined;
  ports?: CNIPortMapping[] | undefined;
  /** Whether it is about to be restarted. */
  waits?: boolean;
}

/** The API's report of a container, after a check that it still runs where it is recorded so. */
export async function reportContainer(ctx: EngineContext, record: ContainerRecord): Promise<ContainerReport> {
  const { store, locks, shared } = ctx;
  const { id } = record;
  if (!locks.isBusy(id)) await locks.exclusively(id, () => refreshStatus(ctx, record)).catch(() => {});
  const run = store.run(id);
  const state = run?.status === 'running' ? await ctx.attacher.state(id) : undefined;
  const ports = state && (await openPorts(ctx, record, state));
  const directory = store.directoryOf(id);
  const sharedNetwork = shared.report(record);
  const sharedBy = shared.sharersOf(id);
  return {
    ...containerReport(record, { run, directory, state, ports, waits: ctx.restarts.isWaiting(id) }),
    ...(sharedNetwork === undefined ? {} : { sharedNetwork }),
    ...(sharedBy.length === 0 ? {} : { sharedBy }),
  };
}

/** The report by what is recorded, which a stack that is not running has as well. */
export function containerReport(
  record: ContainerRecord,
  { run, directory, state, ports, waits = false }: ReportedRun,
): ContainerReport {
  const running = run?.status === 'running';
  const ended = run?.status === 'exited' ? 'exited' : 'created';
  const status: ContainerStatus = running ? 'running' : waits ? 'restarting' : ended;
  return {
    id: record.id,
    name: record.name,
    status,
    ...(running && run.pid !== undefined ? { pid: run.pid } : {}),
    ...(run?.exitCode === undefined || running ? {} : { exitCode: run.exitCode }),
    ...(run?.reason === undefined ? {} : { reason: run.reason }),
    ...(run?.failure === undefined || running ? {} : { failure: run.failure }),
    restartCount: run?.restarts ?? 0,
    created: record.created,
    ...(run?.started === undefined ? {} : { started: run.started }),
    ...(run?.finished === undefined || running ? {} : { finished: run.finished }),
    hostname: record.hostname,
    ports: ports ?? [],
    attachments: state?.attachments ?? [],
    results: state?.results ?? {},
    request: record.request,
    directory,
  };
}
