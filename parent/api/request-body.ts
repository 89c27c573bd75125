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
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    // Plainer than `for await`, which costs as much as the rest of a small request.
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
