/**
 * A UDP server for tests: node udp-server.js MODE HOST PORT. Prints "ready" when it listens.
 *
 *   name     answers each datagram with the address that it is bound to
 *   client   answers each datagram with its sender: address and port
 *   echo     returns each datagram
 *   count    counts datagrams; answers "count" with their number
 *   flood    answers each datagram with 10,000 datagrams of 100 bytes, at the highest rate
 */
import { createSocket, type RemoteInfo } from 'node:dgram';

const [mode = '', host = '', port = ''] = process.argv.slice(2);
const socket = createSocket({
  type: host.includes(':') ? 'udp6' : 'udp4',
  ipv6Only: host.includes(':') && host !== '::',
});
let count = 0;

const modes: Record<string, (data: Buffer, from: RemoteInfo) => void> = {
  name: (_, from) => socket.send(host, from.port, from.address),
  client: (_, from) => socket.send(`${from.address.replace('::ffff:', '')} ${from.port}`, from.port, from.address),
  echo: (data, from) => socket.send(data, from.port, from.address),
  count: (data, from) => {
    if (data.toString() === 'count') socket.send(String(count), from.port, from.address);
    else count++;
  },
  flood: (_, from) => {
    const datagram = Buffer.alloc(100);
    for (let i = 0; i < 10_000; i++) socket.send(datagram, from.port, from.address);
  },
};

const serve = modes[mode];
if (!serve) throw new Error(`unknown mode ${mode}`);
socket.on('message', serve);
socket.bind(Number(port), host, () => process.stdout.write('ready\n'));
