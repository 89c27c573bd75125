/** Operations that end when a signal aborts. */

export interface Abortable {
  /** Rejects the call with its reason when it aborts. */
  signal?: AbortSignal;
}

/** What the task resolves with. Where the signal aborts before, rejects with its reason, and undoes what the task comes to. */
export async function abortable<T>(
  signal: AbortSignal | undefined,
  task: () => Promise<T>,
  undo: (result: T) => unknown = () => {},
): Promise<T> {
  if (!signal) return task();
  signal.throwIfAborted();
  const running = task();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([running, aborted]);
  } catch (error) {
    if (signal.aborted) running.then(undo).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
