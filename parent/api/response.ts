/** Answers of the API, byte for byte as RootlessKit's clients read them. */
import type { ServerResponse } from 'node:http';
import { type ErrorBody, errorBody, httpStatusOf } from '../../protocol/errors/error-body.js';
import { STATUS_TEXTS } from '../../protocol/wire/refuse-upgrade.js';

/** Without a body the response is empty, as RootlessKit's is where there is nothing to report. */
export interface Reply {
  status: number;
  body?: unknown;
  /** Instead of a body, which is JSON; as plain text unless another type is given. */
  text?: string;
  textType?: string;
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
  const { content, type } = contentOf(reply);
  const length = { 'Content-Length': Buffer.byteLength(content) };
  response.writeHead(
    reply.status,
    type === undefined ? length : { 'Content-Type': type, ...NO_SNIFFING[type], ...length },
  );
  response.end(content);
}

/** A whole response, as Node's server would send it. */
export function replyText(reply: Reply, closes: boolean): string {
  const { content, type } = contentOf(reply);
  const { status } = reply;
  let head = `HTTP/1.1 ${status} ${STATUS_TEXTS[status] ?? ''}\r\n`;
  if (type !== undefined) head += `Content-Type: ${type}\r\n`;
  if (type === TEXT) head += 'X-Content-Type-Options: nosniff\r\n';
  head += `Content-Length: ${Buffer.byteLength(content)}\r\nDate: ${new Date().toUTCString()}\r\n`;
  return `${head}Connection: ${closes ? 'close' : 'keep-alive'}\r\n\r\n${content}`;
}

const TEXT = 'text/plain; charset=utf-8';
const NO_SNIFFING: Readonly<Record<string, object>> = { [TEXT]: { 'X-Content-Type-Options': 'nosniff' } };

/** As RootlessKit does: errors end with a line break, other bodies do not. */
function contentOf({ status, body, text, textType = TEXT }: Reply): { content: string; type?: string } {
  if (text !== undefined) return { content: text, type: textType };
  if (body === undefined) return { content: '' };
  return { content: status < 400 ? encodeJSON(body) : `${encodeJSON(body)}\n`, type: 'application/json' };
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
