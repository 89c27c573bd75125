/**
 * Requests to slirp4netns' API socket: one JSON object a connection, ended by closing our half of it; the answer is
 * `{"return": {…}}` or `{"error": {"desc": …}}` (slirp4netns(1)).
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { errorText } from '../../errors.js';
import { SlirpError } from '../errors.js';

/** slirp4netns does nothing else while it answers, so this is long. */
const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 1024 * 1024;

/** Throws SlirpError. */
export async function askSlirp(
  path: string,
  execute: 'add_hostfwd' | 'remove_hostfwd' | 'list_hostfwd',
  args: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const what = `slirp4netns ${execute} ${JSON.stringify(args)}`;
  const answer = await exchange(path, JSON.stringify({ execute, arguments: args })).catch((error: unknown) => {
    throw new SlirpError(`${what}: no answer on its API socket: ${errorText(error)}; restart the stack`);
  });
  const parsed = parse(answer);
  if (typeof parsed.return === 'object' && parsed.return !== null) return parsed.return as Record<string, unknown>;
  throw new SlirpError(`${what} failed: ${description(parsed.error) || answer.trim() || 'empty answer'}`);
}

async function exchange(path: string, request: string): Promise<string> {
  const socket = connect({ path, allowHalfOpen: true });
  try {
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no response within ${TIMEOUT_MS / 1000} s`)));
    await once(socket, 'connect');
    socket.end(request);
    let answer = '';
    for await (const chunk of socket.setEncoding('utf8')) {
      answer += String(chunk);
      if (answer.length > MAX_ANSWER) throw new Error('it is too long');
    }
    return answer;
  } finally {
    socket.destroy();
  }
}

function parse(text: string): { return?: unknown; error?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

function description(error: unknown): string {
  return typeof error === 'object' && error !== null && 'desc' in error ? String(error.desc) : '';
}
