/**
 * What has to be undone, in the reverse order of its doing: on failure half-way and at the end alike.
 */
export class UndoStack {
  readonly #steps: { what: string; undo: () => void | Promise<void> }[] = [];
  #unwinding: Promise<void> = Promise.resolve();

  constructor(private readonly onError: (what: string, error: unknown) => void) {}

  /** `what` names the step in a message, should its undoing fail. */
  push(what: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ what, undo });
  }

  /**
   * Runs all steps, each even if one before it failed; resolves when the last is done. Doing it twice is harmless: the
   * second call waits for the first, and does what was added meanwhile.
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
