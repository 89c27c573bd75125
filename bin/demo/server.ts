/** The web server of the demonstration; it runs inside the network namespace. */
import { createServer } from 'node:http';
import { networkInterfaces } from 'node:os';

const port = Number(process.argv[2] ?? 80);

createServer((request, response) => {
  const devices = Object.keys(networkInterfaces()).join(', ');
  response.end(
    `Hello from inside the namespace: uid ${process.getuid?.()}, devices ${devices}, you asked for ${request.headers.host}\n`,
  );
}).listen(port, '127.0.0.1');

process.on('SIGTERM', () => process.exit(0));
