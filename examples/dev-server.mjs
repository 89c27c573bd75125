// Runs a development server, published on an address of its own, so that several projects can have the same port:
//   node dev-server.mjs 127.0.0.2:8080:3000 npm run dev
import { createNamespace, ProgramError } from 'rootless-net';

const [spec, command, ...args] = process.argv.slice(2);
if (spec === undefined || command === undefined) {
  console.error('usage: node dev-server.mjs ADDRESS:PORT:PORT-OF-SERVER COMMAND [ARGUMENT...]');
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());

const ns = await createNamespace();
try {
  const port = await ns.publish(spec);
  const server = ns.run(command, args, { stdio: 'inherit', cancelSignal: stop.signal });
  // Not where the server ends before it listens.
  port.ready().then(
    () => console.log(`\n  ${port.url}\n`),
    () => {},
  );
  await server;
} catch (error) {
  if (!stop.signal.aborted) console.error(error.message);
  process.exitCode = error instanceof ProgramError ? (error.exitCode ?? 1) : 1;
  if (stop.signal.aborted) process.exitCode = 0;
} finally {
  await ns.close();
}
