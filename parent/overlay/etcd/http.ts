/**
 * HTTP to one endpoint of etcd, by node:https: Node's fetch takes no client certificate without a package of its own. Nothing
 * that is read is longer than its limit.
 */
import { type Agent, type ClientRequest, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { readText } from '../../client/answer.js';

/** Longest answer in bytes: a thousand members with their names are smaller. */
const MAX_ANSWER = 32 * 1024 * 1024;

interface HTTPAnswer {
  status: number;
  text: string;
  /** That the answer came to. */
  localAddress: string;
}

interface PostOptions {
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

/** The answer to a request that post() has sent. */
export function answerOf(request: ClientRequest): Promise<HTTPAnswer> {
  return new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      const localAddress = response.socket.localAddress ?? '';
      readText(response, MAX_ANSWER).then(
        (text) => resolve({ status: response.statusCode ?? 0, text, localAddress }),
        reject,
      );
    });
  });
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
