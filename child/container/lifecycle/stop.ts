/** Stopping containers, and sending them signals. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerRequest } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { signalNumber } from '../../../protocol/system/signals.js';
import { ConflictError, ContainerError } from '../errors.js';
import type { ContainerRecord, RunRecord } from '../storage/container-store.js';
import type { EngineContext } from './context.js';
import { cleanUpRun, refreshStatus } from './run-end.js';

/** Time limit for stopping a container, in ms, unless its request sets one. */
const STOP_TIMEOUT = 10_000;
/** Time limit for the end after SIGKILL, in ms. */
const KILL_TIMEOUT = 20_000;

export interface StopOptions {
  /** How long it may take before SIGKILL, in ms; the container's own where absent. */
  timeout?: number | undefined;
  /** Number of the signal; the container's own where absent. */
  signal?: number | undefined;
}

/**
 * Ends a container by its stop signal, and by SIGKILL after the time-out; its restart policy does not start it again then.
 * Does nothing if it neither runs nor is about to. Throws ContainerError.
 */
export function stopContainer(
  ctx: EngineContext,
  record: ContainerRecord,
  { timeout = stopTimeoutOf(record.request), signal }: StopOptions = {},
): Promise<void> {
  const { id } = record;
  return ctx.locks.exclusively(id, async () => {
    await refreshStatus(ctx, record);
    await cancelRestarts(ctx, id);
    const run = ctx.store.run(id);
    if (run?.status === 'running') await endRun(ctx, record, run, { timeout, signal });
  });
}

/** Records that the container stays ended, also when the agent is replaced. */
async function cancelRestarts(ctx: EngineContext, id: string): Promise<void> {
  const run = ctx.store.run(id);
  if (ctx.closing || !run || ctx.store.get(id)?.request.restart.policy === 'no') return;
  if (!run.stopped) {
    const stack = run.status === 'exited' ? { stack: ctx.stack } : {};
    await ctx.store.writeRun(id, { ...run, stopped: true, ...stack });
  }
  if (!ctx.restarts.isWaiting(id)) return;
  ctx.restarts.cancel(id);
  // Clients may wait for its end.
  if (run.status === 'exited') ctx.exits.notify(id, run.exitCode);
}

/** Ends a container that runs. The caller holds its lock. Throws ContainerError if it does not end. */
export async function endRun(
  ctx: EngineContext,
  record: ContainerRecord,
  run: RunRecord,
  { timeout, signal = stopSignalOf(record.request) }: StopOptions & { timeout: number },
): Promise<void> {
  const { processes } = ctx;
  const fail = (why: string) => new ContainerError(`the container ${record.name} does not end${why}`, 500);
  if (processes.isOfEarlierStack(run)) {
    await processes.endSurvivors([run]);
    if (!(await hasEnded(ctx, run, 0))) throw fail(`: its process ${run.pid} cannot be ended`);
    return cleanUpRun(ctx, record, ctx.store.run(record.id) ?? run);
  }
  if (timeout > 0) processes.signal(run, signal);
  if (timeout <= 0 || !(await hasEnded(ctx, run, timeout))) {
    processes.signal(run, 'SIGKILL');
    if (!(await hasEnded(ctx, run, KILL_TIMEOUT))) throw fail(', even after SIGKILL');
  }
  await cleanUpRun(ctx, record, ctx.store.run(record.id) ?? run);
}

/** Resolves with whether the container has ended within `limit` ms. */
async function hasEnded({ processes }: EngineContext, run: RunRecord, limit: number): Promise<boolean> {
  const deadline = performance.now() + limit;
  for (let pause = 2; ; pause = Math.min(pause * 2, 50)) {
    if (!processes.isRunning(run)) return true;
    if (performance.now() > deadline) return false;
    await delay(pause);
  }
}

/**
 * Sends a signal. A container that is about to be restarted is not, where the signal would end it. Throws ConflictError
 * where it does not run.
 */
export async function signalContainer(
  ctx: EngineContext,
  record: ContainerRecord,
  signal: NodeJS.Signals | number,
): Promise<void> {
  const { id, name, request } = record;
  const ends = isEndingSignal(signal, request);
  if (ends && ctx.restarts.isWaiting(id)) return stopContainer(ctx, record, { timeout: 0 });
  const run = ctx.store.run(id);
  if (run?.status !== 'running' || !ctx.processes.isRunning(run)) {
    throw new ConflictError(`the container ${name} is not running`);
  }
  try {
    if (ends) ctx.killed.add(id);
    ctx.processes.signal(run, signal);
  } catch (error) {
    throw new ConflictError(`cannot send the signal ${signal} to the container ${name}: ${errorText(error)}`);
  }
}

/** In ms. */
function stopTimeoutOf({ stopTimeout }: ContainerRequest): number {
  if (stopTimeout === undefined) return STOP_TIMEOUT;
  return stopTimeout === -1 ? Number.POSITIVE_INFINITY : stopTimeout * 1000;
}

/** Number of the signal by which a container is stopped. */
function stopSignalOf({ stopSignal }: ContainerRequest): number {
  return stopSignal === undefined ? constants.signals.SIGTERM : signalNumber(stopSignal);
}

/** Signals that users end programs with. */
const ENDING_SIGNALS: readonly number[] = (['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGKILL'] as const).map(
  (name) => constants.signals[name],
);

/** Whether a user who sends that signal wants the container to end, and so not to be restarted. */
function isEndingSignal(signal: NodeJS.Signals | number, request: ContainerRequest): boolean {
  const number = typeof signal === 'number' ? signal : constants.signals[signal];
  return ENDING_SIGNALS.includes(number) || number === stopSignalOf(request);
}
