import { StackClient } from '../client/stack-client.js';

/** How long the agent may take for an answer, in ms. */
const TIMEOUT_MS = 1_000;

/**
 * What the agent answers to a GET on its part of the API; undefined where it does not at once, or not as expected.
 * @param socketPath of agent.sock
 */
export async function askAgent<T>(
  socketPath: string,
  path: string,
  test: (value: unknown) => value is T,
): Promise<T | undefined> {
  const answer = await new StackClient(socketPath).call('GET', path, undefined, TIMEOUT_MS).catch(() => {});
  return test(answer) ? answer : undefined;
}
