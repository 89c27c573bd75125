import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { localServer } from '../../support/stacks/engine-side.js';
import { connectedSocket } from '../../support/traffic/raw-socket.js';

// What the tests of the engine send to it in the other side's place.
export const ECONNREFUSED = 111;
export const echoServer = () => localServer((socket) => socket.pipe(socket));

/** A request to connect, as the parent's engine sends it. */
export const connectRequest = (id: number, port: number, container = '') =>
  pack([1, id, ['tcp', '', '127.0.0.1', '', 'hide', container], port, 0, '127.0.0.1', 4]);

/** The same bytes each time; mulberry32. */
export function randomBytes(seed: number): (length: number) => Buffer {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  return (length) => Buffer.from(Array.from({ length }, () => next() & 0xff));
}

/** What no agent sends: none of them is a result in whole. */
export function garbage(): Buffer[] {
  const result = pack([2, 1, ECONNREFUSED, 'connect: refused']);
  const torn = Array.from({ length: result.length - 1 }, (_, i) => result.subarray(0, i + 1));
  const random = randomBytes(1);
  const noise = Array.from({ length: 20 }, (_, i) => {
    const bytes = random(1 + i * 17);
    // The data plane is arrays.
    bytes[0] = 0x90 | ((bytes[0] ?? 0) & 0x0f);
    return bytes;
  });
  const wrong = [
    pack([]),
    pack([2]),
    pack([2, 'one']),
    pack([2, -1]),
    pack([2, 1, 0, 'no error']),
    pack([2, 1, 5000, 'no such errno']),
    pack([2, 1, ECONNREFUSED, 7]),
    pack([2, 1, 2, 'text', 'more']),
    pack([2, 1, [], 'x']),
    pack([3, 1, 0]),
    pack([4, 1]),
    connectRequest(1, 80),
    Buffer.concat([pack([2, 1]), Buffer.from([0])]),
    Buffer.from([0xdc]),
    Buffer.from([0xdc, 0xff, 0xff, 2, 1]),
    Buffer.from([0x94, 2, 1, 5, 0xdb, 0xff, 0xff, 0xff, 0xff]),
  ];
  return [...torn, ...wrong, ...noise];
}

/** Descriptor of a new TCP connection to that port of loopback. */
export const one = async (port: number) => {
  const [fd, copy] = await connectedSocket('127.0.0.1', port);
  native().closeFd(copy);
  return fd;
};
