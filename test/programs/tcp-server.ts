/**
 * A TCP server for tests: node tcp-server.js MODE HOST PORT [LENGTH [BACKLOG]]. Prints "ready" when it listens, and a line about
 * what each connection saw where the mode is about that.
 *
 *   name     sends the address that it is bound to, and ends
 *   client   sends address and port of the client
 *   echo     returns what comes, and ends when the client does
 *   banner   speaks first, as SMTP does; then answers each line
 *   digest   reads to the end, then answers with the SHA-256 of it
 *   source   sends LENGTH pseudo-random bytes, and ends
 *   half     sends "bye" and ends its side; reads on to the end, and prints how much came
 *   reset    resets when the first bytes come
 *   abrupt   sends "last words" and resets when the first bytes come
 *   watch    reads, and prints how the connection ended
 */
import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { pseudoRandom } from '../support/traffic/traffic.js';

const [mode = '', host = '', port = '', length = '0', backlog = '4096'] = process.argv.slice(2);

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const modes: Record<string, (socket: Socket) => void> = {
  name: (socket) => socket.end(host),
  client: (socket) => socket.end(`${socket.remoteAddress?.replace('::ffff:', '')} ${socket.remotePort}`),
  echo: (socket) => socket.pipe(socket),
  banner: (socket) => {
    socket.write('220 ready\r\n');
    socket.on('data', (line) => {
      if (line.toString().startsWith('QUIT')) socket.end('221 bye\r\n');
      else socket.write('250 ok\r\n');
    });
    socket.once('end', () => socket.end());
  },
  digest: (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.once('end', () => socket.end(hash.digest('hex')));
  },
  source: (socket) => {
    pseudoRandom(Number(length)).pipe(socket);
    socket.resume();
  },
  half: (socket) => {
    let received = 0;
    socket.end('bye');
    socket.on('data', (chunk) => {
      received += chunk.length;
    });
    socket.once('end', () => print(`received ${received}`));
  },
  reset: (socket) => socket.once('data', () => socket.resetAndDestroy()),
  abrupt: (socket) => socket.once('data', () => socket.write('last words', () => socket.resetAndDestroy())),
  watch: (socket) => {
    socket.once('data', (chunk) => print(`data ${chunk}`));
    socket.once('end', () => {
      print('end');
      socket.end();
    });
    socket.once('close', () => print('close'));
  },
};

const serve = modes[mode];
if (!serve) throw new Error(`unknown mode ${mode}`);
const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', (error: NodeJS.ErrnoException) => print(`error ${error.code}`));
  serve(socket);
});
server.listen(
  { host, port: Number(port), backlog: Number(backlog), ipv6Only: host.includes(':') && host !== '::' },
  () => print('ready'),
);
