/**
 * What the agent does with containers of the agent before it, and of an earlier stack.
 *
 * Theory of operation. Containers of this stack that run, and whose network is set up, continue to run. Those of an earlier
 * stack are ended, since their network ended with that stack; before anything of a container counts as exited, and its
 * addresses and ports can be used again, its processes have to be gone. What was under way when the agent died is cleaned
 * up as if the run had ended.
 */
import { errorText } from '../../../protocol/errors/error-text.js';
import type { ContainerRecord, RunRecord } from '../storage/container-store.js';
import { networksOf } from './container-network.js';
import type { EngineContext } from './context.js';
import { publishListeners } from './published-ports.js';
import { cleanUpRun, removeContainer } from './run-end.js';

/** Never throws for a single container: what cannot be cleaned up is warned of. */
export async function recoverContainers(ctx: EngineContext): Promise<void> {
  const { store, names } = ctx;
  for (const name of await names.stale((name, id) => store.mayOwnName(id, name))) await names.drop(name);
  for (const record of store.all()) {
    await names.acquire(record.name, record.id).catch((error: unknown) => ctx.warn(errorText(error)));
  }
  await endSurvivors(ctx);
  for (const record of store.all()) {
    await ctx.locks
      .exclusively(record.id, () => recoverContainer(ctx, record))
      .catch((error: unknown) => ctx.warn(`cannot clean up after ${record.name}: ${errorText(error)}`));
  }
  const isRunning = (id: string) => store.run(id)?.status === 'running';
  await ctx.files.removeUnused(isRunning);
  await ctx.cgroups.removeEmpty(isRunning);
}

/** Ends the processes that containers of earlier stacks have left. */
async function endSurvivors({ store, processes, warn }: EngineContext): Promise<void> {
  const runs: RunRecord[] = [];
  for (const { id, name } of store.all()) {
    const run = store.run(id);
    if (!run || run.status === 'exited' || !processes.isOfEarlierStack(run) || !processes.isRunning(run)) continue;
    warn(`the container ${name} still runs as the process ${run.pid} of a stack that has ended; ending it`);
    runs.push(run);
  }
  await processes.endSurvivors(runs);
}

async function recoverContainer(ctx: EngineContext, record: ContainerRecord): Promise<void> {
  const { store, processes, warn } = ctx;
  const run = store.run(record.id);
  if (run?.status === 'exited' && record.request.autoRemove) await removeContainer(ctx, record, { force: true });
  if (run === undefined || run.status === 'exited') return;
  if (processes.isOfEarlierStack(run) && processes.isRunning(run)) {
    return warn(`the container ${record.name} cannot be recovered: its process ${run.pid} does not end`);
  }
  if (run.status === 'running' && processes.isRunning(run)) {
    if (!networksOf(record) || (await ctx.attacher.isWhole(record.id))) return publishListeners(ctx, record);
    warn(`the container ${record.name} is ended: the record of its network is incomplete`);
  }
  await cleanUpRun(ctx, record, run);
}
