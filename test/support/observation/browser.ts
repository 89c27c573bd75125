// A headless Chromium, driven by its DevTools protocol (chromedevtools.github.io/devtools-protocol).
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { type Started, start } from '../start.js';
import { tempDir } from '../temp-dir.js';

/** Not the one in /usr/bin, a script that does not end the browser with itself. */
const PROGRAM = '/usr/lib/chromium/chromium-headless-shell';
/** Milliseconds that an answer may take. */
const ANSWER_MS = 30_000;

export interface Page extends AsyncDisposable {
  /** Value of an expression in the page; it has to be JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** As PNG. */
  screenshot(): Promise<Buffer>;
  /** What the page has reported: errors, refused scripts. */
  readonly problems: readonly string[];
}

/** Opens a page. Ends with the block (`await using`). */
export async function openPage(url: string, size = { width: 1240, height: 640 }): Promise<Page> {
  const words = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars'];
  const directory = tempDir();
  const browser = await start(
    PROGRAM,
    [...words, '--remote-debugging-port=0', `--user-data-dir=${directory}`, 'about:blank'],
    // It leaves files there where it is killed.
    { ready: { output: /DevTools listening on ws:/ }, timeout: 60_000, env: { TMPDIR: directory } },
  );
  try {
    return await DevTools.open(browser, url, size);
  } catch (error) {
    await browser.stop('SIGKILL').catch(() => {});
    throw error;
  }
}

class DevTools implements Page {
  readonly problems: string[] = [];
  readonly #answers = new Map<number, (answer: { result?: unknown; error?: { message: string } }) => void>();
  #session: string | undefined;
  #next = 1;

  private constructor(
    private readonly browser: Started,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString());
      this.#answers.get(message.id)?.(message);
      if (message.method === 'Log.entryAdded') this.problems.push(message.params.entry.text);
      if (message.method === 'Runtime.exceptionThrown') this.problems.push(message.params.exceptionDetails.text);
    });
  }

  static async open(browser: Started, url: string, size: { width: number; height: number }): Promise<DevTools> {
    const address = /DevTools listening on (ws:\S+)/.exec(browser.output())?.[1] ?? '';
    const socket = new WebSocket(address);
    await once(socket, 'open');
    const page = new DevTools(browser, socket);
    const { targetId } = await page.#call<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const attached = { targetId, flatten: true };
    page.#session = (await page.#call<{ sessionId: string }>('Target.attachToTarget', attached)).sessionId;
    for (const domain of ['Log', 'Runtime', 'Page']) await page.#call(`${domain}.enable`, {});
    await page.#call('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false });
    await page.#call('Page.navigate', { url });
    return page;
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result } = await this.#call<{ result: { value: T } }>('Runtime.evaluate', {
      expression,
      returnByValue: true,
    });
    return result.value;
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.#call<{ data: string }>('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    await this.browser.stop('SIGKILL').catch(() => {});
  }

  async #call<T>(method: string, params: object): Promise<T> {
    const id = this.#next++;
    const answer = new Promise<{ result?: unknown; error?: { message: string } }>((resolve, reject) => {
      this.#answers.set(id, resolve);
      setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_MS).unref();
    });
    this.socket.send(JSON.stringify({ id, method, params, ...(this.#session && { sessionId: this.#session }) }));
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result as T;
  }
}
