import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { echo, freePort, startStack, waitFor } from '../../support/index.js';
import { openPage } from '../../support/observation/browser.js';

/** Where the screenshot of the documentation goes; nowhere unless it is wanted. */
const SCREENSHOT = process.env.ROOTLESS_NET_SCREENSHOT;
/** A server that returns what comes, under a name that would be an element, were it markup. */
const SERVER = `
import socket
open('/proc/self/comm', 'w').write('<img src=x>')
server = socket.create_server(('127.0.0.1', 8080))
print('ready', flush=True)
client, _ = server.accept()
while data := client.recv(65536): client.sendall(data)
`;

describe('the page of a stack, in a browser', function () {
  this.timeout(120_000);

  it('shows ports, connections and refusals, and names as text', async () => {
    const uiPort = await freePort('127.0.0.1');
    await using stack = await startStack({ args: ['--net=none', `--ui=127.0.0.1:${uiPort}`] });
    const { port } = await stack.publish('127.0.0.2:0:8080');
    const { port: dead } = await stack.publish('127.0.0.3:0:8081');
    await using server = await stack.inside(['python3', '-c', SERVER], { output: /^ready$/m });
    assert.notEqual(server, undefined);
    const socket = connect(port, '127.0.0.2');
    await once(socket, 'connect');
    const url = /http:\S+#token=\S+/.exec(stack.started.output())?.[0] ?? assert.fail('no URL');
    await using page = await openPage(url);
    try {
      const shown = (text: string) =>
        waitFor(
          async () => {
            await echo(socket, 'x'.repeat(1000));
            return (
              await page.evaluate<string>('document.body.innerText + document.querySelector("svg").textContent')
            ).includes(text);
          },
          { what: text, timeout: 30_000 },
        );
      await shown('live');
      await shown('127.0.0.2');
      await shown(`${port}/tcp → 8080`);
      await shown('<img src=x> [');
      await shown('in ');
      await once(connect(dead, '127.0.0.3'), 'close').catch(() => {});
      await shown(`127.0.0.3:${dead}/tcp: `);
      assert.equal(await page.evaluate('document.querySelectorAll("#refused li").length'), 1);
      const marked = () => page.evaluate<number>('document.querySelectorAll("svg path.bad, svg .bad rect").length');
      await waitFor(async () => (await marked()) > 0, { what: 'the mark of the port', timeout: 30_000 });
      if (SCREENSHOT !== undefined) writeFileSync(SCREENSHOT, await page.screenshot());
      assert.equal(await page.evaluate('document.querySelectorAll("img").length'), 0);
      assert.deepEqual(page.problems, []);
    } finally {
      socket.destroy();
    }
    await using stranger = await openPage(url.replace(/#.*/, ''));
    await waitFor(
      async () =>
        /^refused: open the address/.test(await stranger.evaluate('document.getElementById("state").textContent')),
      { what: 'the refusal', timeout: 30_000 },
    );
    assert.equal(await stranger.evaluate('document.querySelectorAll("svg text").length'), 0);
  });
});
