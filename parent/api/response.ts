/** Answers of the API, byte for byte as RootlessKit's clients read them. */
import type { ServerResponse } from 'node:http';
import { type ErrorBody, errorBody, httpStatusOf } from '../../protocol/errors/error-body.js';
import { STATUS_TEXTS } from '../../protocol/wire/refuse-upgrade.js';

/** Without a body the response is empty, as RootlessKit's is where there is nothing to report. */
export interface Reply {
  status: number;
  body?: unknown;
  /** Instead of a body, which is JSON. */
  text?: string;
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

export function send(response: ServerResponse, reply: Reply): void {
  const { content, headers } = contentOf(reply);
  response.writeHead(reply.status, headers);
  response.end(content);
}

/** A whole response, as Node's server would send it. */
export function replyText(reply: Reply, closes: boolean): string {
  const { content, headers } = contentOf(reply);
  let text = `HTTP/1.1 ${reply.status} ${STATUS_TEXTS[reply.status] ?? ''}\r\n`;
  for (const name in headers) text += `${name}: ${headers[name]}\r\n`;
  return `${text}Date: ${new Date().toUTCString()}\r\nConnection: ${closes ? 'close' : 'keep-alive'}\r\n\r\n${content}`;
}

/** As RootlessKit does: errors end with a line break, other bodies do not. */
function contentOf({ status, body, text }: Reply): { content: string; headers: Record<string, string | number> } {
  if (text !== undefined) {
    return {
      content: text,
      headers: {
        'Content-Type': 'text/plain; charset=utf-8',
        'X-Content-Type-Options': 'nosniff',
        'Content-Length': Buffer.byteLength(text),
      },
    };
  }
  if (body === undefined) return { content: '', headers: { 'Content-Length': 0 } };
  const json = status < 400 ? encodeJSON(body) : `${encodeJSON(body)}\n`;
  return {
    content: json,
    headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(json) },
  };
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
