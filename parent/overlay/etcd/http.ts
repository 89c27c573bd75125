/**
 * HTTP to one endpoint of etcd, by node:https: Node's fetch takes no client certificate without a package of its own. Nothing
 * that is read is longer than its limit.
 */
import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** Longest answer in bytes: a thousand members with their names are smaller. */
const MAX_ANSWER = 32 * 1024 * 1024;

export interface HTTPAnswer {
  status: number;
  text: string;
}

export interface PostOptions {
  agent: Agent;
  token?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Sends a JSON body. */
export function post(url: string, body: unknown, { agent, token, signal }: PostOptions): ClientRequest {
  const text = JSON.stringify(body);
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const request = send(url, {
    method: 'POST',
    agent,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
      ...(token === undefined ? {} : { Authorization: token }),
    },
    ...(signal && { signal }),
  });
  request.end(text);
  return request;
}

/** The answer to a request that post() has sent, with the local address that it came to. */
export function answerOf(request: ClientRequest): Promise<HTTPAnswer & { localAddress: string }> {
  return new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      const localAddress = response.socket.localAddress ?? '';
      readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text, localAddress }), reject);
    });
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new Error(`its answer is larger than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The values of a stream of JSON texts, one a line, as etcd's gateway sends them. Throws Error for lines that are too long. */
export async function* jsonLines(response: AsyncIterable<Buffer>): AsyncGenerator<unknown, void, undefined> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > MAX_ANSWER) throw new Error(`a line is longer than ${MAX_ANSWER} characters`);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
  }
}
