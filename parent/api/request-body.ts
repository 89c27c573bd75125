import type { IncomingMessage } from 'node:http';
import { ExpectedError } from '../../protocol/errors/expected-error.js';

/** In bytes; a port spec has some 100, and there may be a list of them. */
export const MAX_BODY = 2 * 1024 * 1024;

/** The client's request cannot be read. */
export class RequestBodyError extends ExpectedError {
  override name = 'RequestBodyError';
  override readonly code: string = 'invalid';
  constructor(
    override readonly httpStatus: 400 | 413,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Reads a request's body of at most `limit` bytes. A larger one is read to its end and dropped. Closing the socket instead
 * would lose the answer: a UNIX socket that is closed with unread bytes resets the connection.
 * @throws RequestBodyError
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    // Not `for await`, which costs as much as the rest of a small request.
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
    });
    request.on('end', () => {
      if (size > limit) reject(new RequestBodyError(413, `request body is larger than ${limit} bytes`));
      else resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    });
    const gone = () => {
      if (!request.readableEnded) reject(new RequestBodyError(400, 'request ended before its body was there'));
    };
    request.on('error', gone);
    request.on('close', gone);
  });
}

/**
 * A request's body as JSON, whatever its Content-Type: Go's clients send none.
 * @throws RequestBodyError
 */
export function parseJSONBody(body: Buffer): unknown {
  const text = body.toString('utf8');
  if (text.trim() === '') throw new RequestBodyError(400, 'request body is empty; expected a JSON object');
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RequestBodyError(400, `request body is not JSON: ${reason}`.replaceAll(/\s+/g, ' '));
  }
}
