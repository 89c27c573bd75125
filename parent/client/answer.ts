/** Reads answers of the API, which may hold what comes from inside the namespaces: none of it is trusted. */
import type { IncomingMessage } from 'node:http';
import { parseErrorBody } from '../../protocol/errors/error-body.js';
import { MAX_LINE, printable } from '../../protocol/text/printable-text.js';
import { APIError } from './errors.js';

/** Larger answers are not read, in bytes: the ports of a thousand containers fit. */
const MAX_ANSWER = 64 * 1024 * 1024;

/** The value, where it has the expected shape; another server may answer on the socket. Throws APIError. */
export function checked<T>(value: unknown, test: (value: unknown) => value is T): T {
  if (!test(value)) throw new APIError(200, `unexpected answer: ${JSON.stringify(value)?.slice(0, 100)}`);
  return value;
}

/** Why a request for another protocol was refused: the answer's status and message. */
export async function refusalOf(response: IncomingMessage): Promise<APIError> {
  const status = response.statusCode ?? 0;
  const text = await readText(response).catch(() => '');
  return apiError(status, text);
}

/** Throws Error if the body is larger. */
export async function readText(response: IncomingMessage, maxBytes = MAX_ANSWER): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`its answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The error in a body, which is JSON, or for a path that the stack does not know, text. */
export function apiError(status: number, text: string): APIError {
  const body = errorOf(text);
  if (!body) return new APIError(status, printable(text, MAX_LINE) || `HTTP status ${status}`);
  const { message, code, hint, field } = body;
  return new APIError(status, message, { code, hint, field });
}

function errorOf(text: string): ReturnType<typeof parseErrorBody> {
  try {
    return parseErrorBody(JSON.parse(text));
  } catch {
    return undefined;
  }
}
