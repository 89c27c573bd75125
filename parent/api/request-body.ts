import type { IncomingMessage } from 'node:http';

/** A port spec has some 100 bytes; nothing that is asked of this API comes near. */
export const MAX_BODY = 64 * 1024;

/** The client's request cannot be read. The message is one line; `status` is the answer's. */
export class RequestBodyError extends Error {
  override name = 'RequestBodyError';
  constructor(
    readonly status: 400 | 413,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Reads a request's body. One that is too large is read to its end and dropped. Closing the socket instead would take the
 * answer with it: a UNIX socket that is closed with bytes unread in it resets the connection.
 * @throws RequestBodyError
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
    }
  } catch {
    throw new RequestBodyError(400, 'request ended before its body was there');
  }
  if (size > limit) throw new RequestBodyError(413, `request body is larger than ${limit} bytes`);
  return Buffer.concat(chunks);
}

/**
 * Reads a request's body as JSON, whatever its Content-Type says: Go's clients send none.
 * @throws RequestBodyError
 */
export async function readJSON(request: IncomingMessage): Promise<unknown> {
  const text = (await readBody(request, MAX_BODY)).toString('utf8');
  if (text.trim() === '') throw new RequestBodyError(400, 'request body is empty; expected a JSON object');
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RequestBodyError(400, `request body is not JSON: ${reason}`.replaceAll(/\s+/g, ' '));
  }
}
