/**
 * Starts programs where it runs itself, which may be below the command of a stack:
 *
 *   node starter.js serve SOCKET            ready when it has printed "ready"
 *   node starter.js run SOCKET COMMAND…     prints the pid, then the output of the program; ends with it. SIGTERM ends it, and
 *                                           what it has started
 */
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';

const [mode, path = '', ...command] = process.argv.slice(2);

function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGTERM');
  } catch {
    // It has ended.
  }
}

if (mode === 'serve') {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (line) => {
      const [program = '', ...args] = JSON.parse(line.toString()) as string[];
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      child.once('error', (error) => socket.end(`${error.message}\n`));
      socket.write(`pid ${child.pid}\n`);
      for (const stream of [child.stdout, child.stderr]) stream.pipe(socket, { end: false });
      child.once('close', () => socket.end());
      for (const event of ['end', 'close']) socket.once(event, () => endGroup(child.pid));
    });
  });
  server.listen(path, () => process.stdout.write('ready\n'));
} else {
  const socket = connect({ path, allowHalfOpen: true });
  socket.write(`${JSON.stringify(command)}\n`);
  socket.pipe(process.stdout);
  socket.once('end', () => process.exit());
  process.on('SIGTERM', () => socket.end());
}
