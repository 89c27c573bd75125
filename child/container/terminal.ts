/** A program in a pseudo-terminal of ours (pty(7)), for those who attach to it. */
import type { IPty } from 'node-pty';
import { ProgramError } from './errors.js';
import { PROGRAM_PATH } from './run-program.js';

/** How much of what was shown is kept for who attaches later, in characters. */
const KEPT = 64 * 1024;

export class Terminal {
  #kept = '';
  #code: number | undefined;
  readonly #listeners = new Set<(data: string) => void>();
  readonly #exitListeners: ((code: number) => void)[] = [];

  private constructor(private readonly pty: IPty) {
    pty.onData((data) => {
      this.#kept = (this.#kept + data).slice(-KEPT);
      for (const listener of this.#listeners) listener(data);
    });
    pty.onExit(({ exitCode, signal }) => {
      this.#code = signal ? 128 + signal : exitCode;
      for (const listener of this.#exitListeners) listener(this.#code);
    });
  }

  /** Throws ProgramError. */
  static async open([program = '', ...args]: readonly string[]): Promise<Terminal> {
    let module: typeof import('node-pty');
    try {
      module = await import('node-pty');
    } catch {
      throw new ProgramError(
        'no terminal can be opened: the package node-pty is not installed; install it with: npm install node-pty',
      );
    }
    const env = { ...process.env, PATH: PROGRAM_PATH } as Record<string, string>;
    return new Terminal(module.spawn(program, args, { name: 'xterm', cols: 80, rows: 24, env }));
  }

  get exited(): boolean {
    return this.#code !== undefined;
  }

  /** What it showed last. */
  lastWords(): string {
    return this.#kept.trim().split('\n').at(-1)?.trim() ?? '';
  }

  write(data: string | Buffer): void {
    if (!this.exited) this.pty.write(data.toString());
  }

  resize(columns: number, rows: number): void {
    if (!this.exited && columns > 0 && rows > 0) this.pty.resize(columns, rows);
  }

  /** What was shown until now comes first. Returns what ends the listening. */
  listen(listener: (data: string) => void): () => void {
    if (this.#kept !== '') listener(this.#kept);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At once where it has ended already. */
  onExit(listener: (code: number) => void): void {
    if (this.#code === undefined) this.#exitListeners.push(listener);
    else listener(this.#code);
  }

  /** As a terminal's end is told: SIGHUP. */
  end(): void {
    if (!this.exited) this.pty.kill();
  }
}
