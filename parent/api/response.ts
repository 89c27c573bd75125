/** Answers of the API, byte for byte as RootlessKit's clients read them. */
import type { ServerResponse } from 'node:http';
import { type ErrorBody, errorBody, httpStatusOf } from '../../protocol/errors/error-body.js';

/** Without a body the response is empty, as RootlessKit's is where there is nothing to report. */
export interface Reply {
  status: number;
  body?: unknown;
}

type Log = ((line: string) => void) | undefined;

/** Ends the response where it has begun; defects are logged. */
export function answerError(response: ServerResponse, error: unknown, log: Log): void {
  if (response.destroyed || response.headersSent) {
    response.destroy();
    return;
  }
  send(response, answerTo(error, log));
}

/** The answer for an error; defects are logged. */
export function answerTo(error: unknown, log: Log): { status: number; body: ErrorBody } {
  const status = httpStatusOf(error);
  const body = errorBody(error);
  if (body.code === 'internal') log?.(`internal error in an API request: ${describe(error)}`);
  return { status, body };
}

/** As RootlessKit does: errors end with a line break, other bodies do not. */
export function send(response: ServerResponse, { status, body }: Reply): void {
  if (body === undefined) {
    response.writeHead(status, { 'Content-Length': 0 }).end();
    return;
  }
  const text = status < 400 ? encodeJSON(body) : `${encodeJSON(body)}\n`;
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

export function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** JSON with the characters escaped that Go's encoder escapes. */
function encodeJSON(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/[<>&\u2028\u2029]/.test(text)) return text;
  return text.replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** With its stack trace. */
export function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
