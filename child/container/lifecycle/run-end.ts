/**
 * The end of a run: noticing it, taking away what the run has left, and removing the container.
 *
 * Each step can be repeated. Where one fails, the container has ended anyway: the journal still has its networks,
 * and the next start, rm or gc tries again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { errorText } from '../../../protocol/errors/error-text.js';
import { fileErrorOf } from '../../../protocol/errors/file-error.js';
import { ContainerError } from '../errors.js';
import { removePidFile } from '../process/pid-file.js';
import type { ContainerRecord, RunRecord } from '../storage/container-store.js';
import type { Step } from '../storage/fault-injection.js';
import type { EngineContext } from './context.js';

/** How long a monitor that lives may take to report an end, in ms. */
const REPORT_TIMEOUT = 5_000;
/** Reasons why an exit code is unknown. */
export const MONITOR_LOST = 'its monitor was lost';
const STACK_LOST = 'the stack that ran it was lost';

/** Cleans up after a container that is recorded as running, but has ended. The caller holds its lock. */
export async function refreshStatus(ctx: EngineContext, record: ContainerRecord): Promise<void> {
  const run = ctx.store.run(record.id);
  if (run?.status === 'exited' && ctx.files.hasExitFile(record.id)) await ctx.files.remove(record.id);
  if (run?.status === 'running' && !ctx.processes.isRunning(run)) await cleanUpRun(ctx, record, run);
}

/** Ends what is left of a run, takes its networks away, and records its end. The caller holds the container's lock. */
export async function cleanUpRun(ctx: EngineContext, record: ContainerRecord, run: RunRecord): Promise<void> {
  const { store, files, processes, faults } = ctx;
  const { id, name, request } = record;
  const step = <T>(what: Step<'end'>, task: () => Promise<T>) => faults.step('end', what, task);
  const earlier = processes.isOfEarlierStack(run);
  const runs = processes.isRunning(run);
  // Before the runtime is called again: the monitor may be about to write how the program ended.
  if (!runs) await untilReported(ctx, id, run);
  const end = step('delete', async () => {
    if (!earlier) await files.runtimeOf(record).delete(id);
    await processes.end(run);
  });
  // At once where nothing lives on that uses the network: the runtime and the kernel, which removes devices, take long.
  const hasEnded = !runs && !processes.isPopulated(run);
  if (!hasEnded) await end;
  if (runs) await untilReported(ctx, id, run);
  // Of one that is removed next nothing is recorded any more that its removal would take away again.
  const { autoRemove } = request;
  const detached = step('detach', () => ctx.attacher.detach(id, { addresses: autoRemove, own: !autoRemove })).catch(
    (error: unknown) => {
      ctx.warn(`cannot detach ${name} from its networks, gc retries: ${errorText(error)}`);
    },
  );
  // Nothing may be under way when one fails.
  await Promise.allSettled([end, detached]);
  await end;
  const code = await files.exitCode(id);
  ctx.inputs.close(id);
  const ended = endedRun(run, { code, killed: ctx.killed.delete(id), unknown: earlier ? STACK_LOST : MONITOR_LOST });
  const writeStatus = async () => (autoRemove ? store.setRunInMemory(id, ended) : store.writeRun(id, ended));
  await step('status', writeStatus).catch((error: unknown) => {
    // It has ended anyway, and the next stack finds that out by itself.
    if (!fileErrorOf(error)) throw error;
    store.setRunInMemory(id, ended);
    ctx.warn(`cannot record the end of ${name}: ${errorText(error)}`);
  });
  if (!autoRemove) ctx.restarts.onEnd(record, ended);
  try {
    await removePidFile(request.pidFile, run.pid);
    await step('files', () => files.remove(id));
    if (autoRemove) await removeContainer(ctx, record, { force: true });
  } finally {
    ctx.exits.notify(id, code);
  }
}

function endedRun(
  run: RunRecord,
  { code, killed, unknown }: { code: number | undefined; killed: boolean; unknown: string },
): RunRecord {
  const { exitCode: _, reason = unknown, ...rest } = run;
  return {
    ...rest,
    status: 'exited',
    finished: new Date().toISOString(),
    ...(killed ? { stopped: true } : {}),
    ...(code === undefined ? { reason } : { exitCode: code }),
  };
}

/** Waits for the exit file of a run that is over; it may appear a moment later, as long as its monitor lives. */
async function untilReported({ processes, files }: EngineContext, id: string, run: RunRecord): Promise<void> {
  if (run.pid === undefined || run.monitor === undefined) return;
  const deadline = performance.now() + REPORT_TIMEOUT;
  for (let lost = false; !lost && performance.now() < deadline; await delay(2)) {
    lost = processes.hasLostMonitor(run);
    if (files.hasExitFile(id)) return;
  }
}

/**
 * Removes a container that does not run. The caller holds its lock.
 *
 * @param options `force`: also where its networks cannot be taken away, which are in the journal then, for gc
 * @throws ContainerError
 */
export async function removeContainer(
  ctx: EngineContext,
  { id, name }: ContainerRecord,
  { force }: { force: boolean },
): Promise<void> {
  const step = <T>(what: Step<'remove'>, task: () => Promise<T>) => ctx.faults.step('remove', what, task);
  await step('detach', () => ctx.attacher.detach(id, { addresses: true, own: true })).catch((error: unknown) => {
    const problem = `cannot detach ${name} from its networks: ${errorText(error)}`;
    if (!force) throw new ContainerError(`${problem}; rm --force removes it nevertheless`, 500);
    ctx.warn(`${problem}; gc retries`);
  });
  await ctx.removalTasks.run(id);
  // Its record may have fewer networks than a crash has left.
  await step('addresses', () => ctx.attacher.release(id));
  await step('record', () => ctx.store.removeFiles(id));
  // In one, or the garbage collector could register the name again in between.
  await ctx.names.exclusively(async () => {
    try {
      await step('name', () => ctx.names.release(name, id));
    } finally {
      ctx.store.forget(id);
    }
  });
}
