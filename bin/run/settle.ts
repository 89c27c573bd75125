/** What this process gives up once its stack runs. */
import { log } from '../../parent/log/log.js';
import { confineThisProcess } from '../../parent/namespaces/confine.js';

/** What ends sooner has no use for the second part, and is not to wait for it. In ms. */
const SHORT_LIFE = 200;

export function settle(): void {
  confineThisProcess((line) => log.debug(line));
  setTimeout(() => void stopOptimizing(), SHORT_LIFE).unref();
}

/**
 * What is left to do comes in small pieces, with system calls between them; data pass through the engine. For that V8's
 * optimizing compiler takes more than it gives: its threads compete with the clients for processors, and it keeps 4 MB, or 10
 * after the first thousand requests.
 */
async function stopOptimizing(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--no-turbofan');
}
