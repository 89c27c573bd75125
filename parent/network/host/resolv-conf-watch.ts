/**
 * Detects changes of the host's DNS servers, such as by a VPN or another Wi-Fi.
 *
 * Theory of operation. inotify(7) on the file itself, which some programs write in place; on the directory of the link's
 * target, where others rename a new file to it; and on the directory of the link. After each event the watches are made
 * again, since the file may be another one. Where no watches can be made (their number is limited for each user), the
 * files are polled.
 */
import { type FSWatcher, readFileSync, realpathSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

const FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];
/** Programs empty the file before they write it. */
const SETTLE_MS = 200;
const POLL_MS = 5000;

export class ResolvConfWatch {
  #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #texts: string;
  #closed = false;

  /** Calls the listener after each change. Keeps no process alive. */
  constructor(
    private readonly listener: () => void,
    private readonly files: readonly string[] = FILES,
  ) {
    this.#texts = this.#read();
    this.#watch();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#unwatch();
  }

  #watch(): void {
    try {
      for (const file of this.files) {
        const real = realPath(file);
        const directories = new Set([dirname(file), ...(real === undefined ? [] : [dirname(real)])]);
        const names = new Set([basename(file), ...(real === undefined ? [] : [basename(real)])]);
        for (const directory of directories) {
          this.#add(directory, (name) => name === null || names.has(name));
        }
        if (real !== undefined) this.#add(real, () => true);
      }
    } catch {
      this.#unwatch();
      this.#schedule(POLL_MS);
    }
  }

  #add(path: string, concerns: (name: string | null) => boolean): void {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        if (concerns(name)) this.#schedule(SETTLE_MS);
      });
      this.#watchers.push(watcher);
      watcher.on('error', () => this.#schedule(SETTLE_MS));
    } catch (error) {
      // A missing file is created with an event of another watch.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }

  #unwatch(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #schedule(delay: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), delay).unref();
  }

  #check(): void {
    this.#unwatch();
    this.#watch();
    // Read after the watches are made, so that no change is missed in between.
    const texts = this.#read();
    if (texts === this.#texts) return;
    this.#texts = texts;
    this.listener();
  }

  #read(): string {
    return this.files.map(readText).join('\0');
  }
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
