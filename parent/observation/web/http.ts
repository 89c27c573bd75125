/**
 * HTTP for people and programs on the host: metrics, and the page of the stack. Unlike the API's socket, every user of the host
 * can connect, and so can pages in a browser. Where it listens on loopback, only requests for an address, or for localhost, are
 * answered: a page of elsewhere whose name resolves to 127.0.0.1 (DNS rebinding) sends its own name as Host.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { isLoopback } from '../../../protocol/net/ip.js';
import { bracket } from '../../../protocol/ports/port-text.js';
import { errnoName, errorText, UserError } from '../../errors.js';
import type { ServedAddress } from '../../stack/options.js';

const MAX_CONNECTIONS = 100;
/** For a whole request, in ms. */
const REQUEST_TIMEOUT = 10_000;

export interface HTTPService {
  /** For messages: `metrics`. */
  what: string;
  address: ServedAddress;
  /** Answers GET and HEAD with an allowed Host. Rejects for a defect. */
  serve: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;
  log: (line: string) => void;
}

/** Resolves when it listens. Throws UserError. */
export async function listenHTTP({ what, address, serve, log }: HTTPService): Promise<Server> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT, keepAliveTimeout: REQUEST_TIMEOUT },
    (request, response) => {
      response.setHeader('X-Content-Type-Options', 'nosniff');
      response.setHeader('Cache-Control', 'no-store');
      if (!isAllowedHost(request, address))
        return answerText(response, 403, 'unknown host; use the address, or localhost');
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return answerText(response, 405, 'only GET is supported');
      Promise.resolve(serve(request, response)).catch((error: unknown) => {
        log(`${what} failed: ${errorText(error)}`);
        if (response.headersSent) response.destroy();
        else answerText(response, 500, 'it failed; the log of the stack has the reason');
      });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  const { ip, port } = address;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const reason = {
        EADDRINUSE: 'address already in use; stop what listens there (ss -lntup shows it), or choose another port',
        EADDRNOTAVAIL: 'it is not an address of this host',
        EACCES: 'permission denied; choose a port from 1024 on',
      };
      const name = errnoName(error);
      const text = Object.entries(reason).find(([known]) => known === name)?.[1] ?? name;
      reject(new UserError(`cannot serve ${what} at ${bracket(ip)}:${port}: ${text}`));
    });
    server.listen(port, ip, resolve);
  });
  server.on('error', (error) => log(`${what}: ${errorText(error)}`));
  return server;
}

/** Ends it and all of its connections. */
export function closeHTTP(server: Server): void {
  server.close();
  server.closeAllConnections();
}

export function answerText(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  const body = status < 400 ? text : `${text}\n`;
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** Any where it does not listen on loopback: who can reach it need not be on this host, and may use its names. */
export function isAllowedHost({ headers: { host = '' } }: IncomingMessage, { ip, port }: ServedAddress): boolean {
  if (!isLoopback(ip)) return true;
  const [, bracketed, plain, given = '80'] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(host) ?? [];
  const name = bracketed ?? plain;
  return name !== undefined && Number(given) === port && (isIP(name) !== 0 || name.toLowerCase() === 'localhost');
}
