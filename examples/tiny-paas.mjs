// A tiny platform: ten apps, each in a namespace of its own, on port 80 there, and published on an address of its own, on one port of
// the host. An app that ends is started again. Without arguments the apps are a small server that returns its name; otherwise
//   node tiny-paas.mjs PORT COMMAND [ARGUMENT...]
// runs that command for each, with NAME in its environment.
import { setTimeout as delay } from 'node:timers/promises';
import { createNamespace } from 'rootless-net';

const APPS = 10;
const APP = `
  const server = require('node:http').createServer((request, response) => {
    if (request.url === '/crash') process.exit(1);
    response.end(\`\${process.env.NAME}\\n\`);
  });
  server.listen(80);
`;
const [port = '8080', command = process.execPath, ...args] = process.argv.slice(2);
const words = process.argv.length > 3 ? args : ['-e', APP];

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());

async function runApp(number) {
  const name = `app-${number}`;
  // What it may reach could be limited here: `allow`, `deny`, `limit`.
  const ns = await createNamespace();
  try {
    const published = await ns.publish(`127.0.0.${10 + number}:${port}:80`);
    published.ready().then(
      () => console.log(`${name} ${published.url}`),
      () => {},
    );
    while (!stop.signal.aborted) {
      const { exitCode, signal } = await ns.run(command, words, {
        env: { NAME: name },
        stdio: ['ignore', 'inherit', 'inherit'],
        cancelSignal: stop.signal,
        reject: false,
      });
      if (stop.signal.aborted) break;
      console.log(`${name} ended (${signal ?? exitCode}), restarting`);
      await delay(100);
    }
  } catch (error) {
    if (!stop.signal.aborted) console.error(`${name}: ${error.message}`);
  } finally {
    await ns.close();
  }
}

await Promise.all(Array.from({ length: APPS }, (_, index) => runApp(index + 1)));
