/** ClientHellos: real ones, as programs send them, and made ones. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';

/** What a client sends until it waits for an answer: the first record that is complete. */
async function firstRecord(start: (port: number) => () => void): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = start((server.address() as AddressInfo).port);
  try {
    const [socket] = await once(server, 'connection');
    let bytes = Buffer.alloc(0);
    for await (const chunk of socket) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) break;
    }
    return bytes;
  } finally {
    stop();
    server.close();
  }
}

/** The ClientHello of Node's own TLS. */
export function helloOfNode(options: ConnectionOptions): Promise<Buffer> {
  return firstRecord((port) => {
    const socket = connect({ port, host: '127.0.0.1', ...options }).on('error', () => {});
    return () => socket.destroy();
  });
}

/** The ClientHello of a program; `PORT` in its words is the port to connect to. */
export function helloOfProgram(...words: string[]): Promise<Buffer> {
  return firstRecord((port) => {
    const [command = '', ...args] = words.map((word) => word.replaceAll('PORT', String(port)));
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'ignore'] });
    return () => child.kill('SIGKILL');
  });
}

/** A number of so many bytes, big-endian. */
export function number(value: number, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  out.writeUIntBE(value, 0, bytes);
  return out;
}

/** A vector of TLS: the length in so many bytes, and the content. */
export function vector(bytes: number, ...content: (Buffer | string)[]): Buffer {
  const all = Buffer.concat(content.map((part) => Buffer.from(part)));
  return Buffer.concat([number(all.length, bytes), all]);
}

export function extension(type: number, content: Buffer | string): Buffer {
  return Buffer.concat([number(type, 2), vector(2, content)]);
}

/** The extension server_name with these names, each with type 0. */
export function serverName(...names: string[]): Buffer {
  return extension(0, vector(2, ...names.map((name) => Buffer.concat([Buffer.from([0]), vector(2, name)]))));
}

/** The handshake message ClientHello; without any extensions if there are none. */
export function helloMessage(extensions?: readonly Buffer[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32, 8)),
    vector(2, Buffer.from([0x13, 0x01, 0x13, 0x02])),
    vector(1, Buffer.from([0])),
    ...(extensions ? [vector(2, ...extensions)] : []),
  ]);
  return Buffer.concat([Buffer.from([1]), vector(3, body)]);
}

/** The message in handshake records of so many bytes. */
export function records(message: Buffer, size = 16384): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    parts.push(Buffer.from([22, 3, 1]), vector(2, message.subarray(at, at + size)));
  }
  return Buffer.concat(parts);
}
