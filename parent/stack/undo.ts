/**
 * Undo steps of what was done, run in reverse order: when the start fails half-way, and at the end.
 */
export class UndoStack {
  readonly #steps: { what: string; undo: () => void | Promise<void> }[] = [];
  #unwinding: Promise<void> = Promise.resolve();

  constructor(private readonly onError: (what: string, error: unknown) => void) {}

  /** @param what names the step in a message where its undo fails, such as `stop the engine` */
  push(what: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ what, undo });
  }

  /**
   * Runs all steps, each even if one before it failed; resolves when the last is done. A second call waits for the first,
   * and runs what was added meanwhile.
   */
  unwind(): Promise<void> {
    this.#unwinding = this.#unwinding.then(() => this.#run());
    return this.#unwinding;
  }

  async #run(): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        this.onError(step.what, error);
      }
    }
  }
}
