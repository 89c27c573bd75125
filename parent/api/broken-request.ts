import type { Duplex } from 'node:stream';
import { errnoName } from '../../protocol/errors/error-text.js';
import { refuseUpgrade } from '../../protocol/wire/refuse-upgrade.js';

/** By the codes of Node's HTTP parser and server. */
const ANSWERS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the URL and headers of the request are longer than 16 KiB'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the chunk extensions of the request are longer than 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request was not there within 30 s'],
};

/** Answers a request that cannot be parsed as HTTP with JSON, like all others; Node's own answers have no body. */
export function answerBrokenRequest(error: Error, socket: Duplex): void {
  const code = errnoName(error);
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] = ANSWERS[code] ?? [400, 'the request is not HTTP'];
  refuseUpgrade(socket, status, { message, code: 'invalid' });
}
