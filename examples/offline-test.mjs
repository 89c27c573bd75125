// Runs `npm test`, or what is given, in this directory without a network: what a test sends elsewhere fails at once, and nothing that
// is installed can call home. Its own loopback works.
import { createNamespace } from 'rootless-net';

const [command = 'npm', ...args] = process.argv.length > 2 ? process.argv.slice(2) : ['npm', 'test'];
const ns = await createNamespace({ net: 'none' });
try {
  const { exitCode = 1 } = await ns.run(command, args, { stdio: 'inherit', reject: false });
  process.exitCode = exitCode;
} finally {
  await ns.close();
}
