/**
 * A program that uses the whole terminal: the alternate screen (xterm's ctlseqs, 1049), without a cursor, keys unechoed. Both are
 * given back at the end, and when a signal ends the program.
 */
import type { Page } from './screen.js';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const ENDING = ['q', 'Q', CTRL_C, CTRL_D];

export class FullScreen implements Disposable {
  readonly #end = new AbortController();
  readonly #onData = (keys: Buffer) => {
    if ([...keys.toString('latin1')].some((key) => ENDING.includes(key))) this.#end.abort();
  };
  readonly #onSignal = () => this.#end.abort();
  readonly #onResize = () => this.#redraw();
  #disposed = false;
  #render: ((page: Page) => string) | undefined;

  constructor() {
    const { stdin, stdout } = process;
    stdout.write(ENTER);
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on('data', this.#onData).resume();
    stdout.on('resize', this.#onResize);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, this.#onSignal);
  }

  /** Aborts when the user wants no more. */
  get closed(): AbortSignal {
    return this.#end.signal;
  }

  /** Again, too, when the terminal gets another size. @param render text of at most so many rows and columns */
  draw(render: (page: Page) => string): void {
    this.#render = render;
    this.#redraw();
  }

  /** Once is enough: a second time would move the cursor back over what was printed since. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const { stdin, stdout } = process;
    stdin.off('data', this.#onData).pause();
    if (stdin.isTTY) stdin.setRawMode(false);
    stdout.off('resize', this.#onResize);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#onSignal);
    stdout.write(LEAVE);
  }

  #redraw(): void {
    // A serial line reports the size 0.
    const rows = process.stdout.rows || 24;
    const columns = process.stdout.columns || 80;
    // The last line is left empty: a line break there would scroll.
    const text = this.#render?.({ rows: rows - 1, columns }) ?? '';
    const lines = text.split('\n').slice(0, rows - 1);
    process.stdout.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`);
  }
}
