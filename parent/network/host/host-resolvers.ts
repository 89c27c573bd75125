import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { ResolvConfWatch } from './resolv-conf-watch.js';

const PATH = '/etc/resolv.conf';
/** As many as the C library uses: MAXNS in resolv.conf(5). */
const MAX_RESOLVERS = 3;
/** What the C library uses where none is named. */
const DEFAULT_RESOLVER = '127.0.0.1';
/** A command that ends sooner does not need the watch, and is not to wait for it; in ms. */
const WATCH_DELAY_MS = 100;

/** The addresses of `nameserver` lines that the C library would use, with a zone if they have one. */
export function parseResolvers(text: string): string[] {
  const named = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, ip = '']) => ip);
  const usable = named.filter((ip) => isIP(ip) !== 0).slice(0, MAX_RESOLVERS);
  return usable.length === 0 ? [DEFAULT_RESOLVER] : usable;
}

/**
 * The search list: the last line `search` or `domain` (resolv.conf(5)). In lower case, without dots at the ends; what cannot
 * be a name is left out.
 */
export function parseSearch(text: string): string[] {
  const lines = [...text.matchAll(/^(?:search|domain)[ \t]+(.+)/gm)];
  const domains = (lines.at(-1)?.[1] ?? '').split(/\s+/).map((domain) => domain.toLowerCase().replace(/\.$/, ''));
  return domains.filter((domain) => /^[\w-]+(\.[\w-]+)*$/.test(domain));
}

/** Reports the host's resolvers and its search list, at once and after each change. */
export class HostResolvers {
  readonly #timer: NodeJS.Timeout;
  #watch: ResolvConfWatch | undefined;
  #reported = '';

  constructor(
    private readonly report: (ips: string[], search: string[]) => void,
    private readonly path = PATH,
  ) {
    this.#read();
    this.#timer = setTimeout(() => {
      this.#watch = new ResolvConfWatch(() => this.#read(), [path]);
      // It may have changed meanwhile.
      this.#read();
    }, WATCH_DELAY_MS).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watch?.close();
  }

  #read(): void {
    const text = readText(this.path);
    const [ips, search] = [parseResolvers(text), parseSearch(text)];
    const found = [...ips, '', ...search].join();
    if (found === this.#reported) return;
    this.#reported = found;
    this.report(ips, search);
  }
}

/** "" if it cannot be read. Synchronous, since the start waits for it: other threads would take longer. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
