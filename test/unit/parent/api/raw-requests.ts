import assert from 'node:assert/strict';
import { connect } from 'node:net';
import WebSocket from 'ws';
import type { FakeStack } from '../../../support/stacks/fake-stack.js';

// Requests to the API as bytes, so that also those can be sent that no client sends.
export interface Answer {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/** Sends bytes and reads until the server closes, as `Connection: close` makes it do. */
export async function exchange(socketPath: string, bytes: string | Buffer): Promise<Answer> {
  const socket = connect(socketPath);
  socket.write(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const split = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = text.slice(0, split).split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status: Number(statusLine.split(' ')[1]), headers: new Map(headers), body: text.slice(split + 4) };
}

export function ask(stack: FakeStack, method: string, path: string, body?: string): Promise<Answer> {
  const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  const head = `${method} ${path} HTTP/1.1\r\nHost: rootlesskit\r\nConnection: close\r\n${length}\r\n`;
  return exchange(stack.socketPath, head + (body ?? ''));
}

/** A subscriber of the event stream, opened, with the frames that it got. */
export async function subscribe(
  stack: FakeStack,
): Promise<{ socket: WebSocket; frames: unknown[]; closed: Promise<number> }> {
  const socket = new WebSocket('ws://stack/v1/events', { createConnection: () => connect(stack.socketPath) });
  const frames: unknown[] = [];
  socket.on('message', (data, isBinary) => {
    assert.equal(isBinary, false);
    frames.push(JSON.parse(data.toString()));
  });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return { socket, frames, closed };
}

export const WEB = '{"proto":"tcp","parentIP":"127.0.0.2","parentPort":8080,"childPort":80}';
/** Asks for something that is refused, and compares the status and the message of the answer. */
export async function assertRefused(
  stack: FakeStack,
  [method, path, body]: readonly [method: string, path: string, body: string | undefined],
  status: number,
  message: RegExp,
): Promise<void> {
  const answer = await ask(stack, method, path, body);
  assert.equal(answer.status, status, answer.body);
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.match(answer.body, /^\{"message":"[^\n]*"\}\n$/);
  assert.match((JSON.parse(answer.body) as { message: string }).message, message);
}
