import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DHCPDaemon } from '../../../../../../child/container/network/cni/dhcp-daemon.js';
import { CNIError, PluginMissingError } from '../../../../../../child/container/network/cni/executor/errors.js';
import { isAlive, tempDir, waitFor } from '../../../../../support/index.js';

/** The daemon with a plugin in JavaScript in place of the real one; it writes its process id and arguments to `started`. */
function setup(script: string) {
  const dir = tempDir();
  const started = join(dir, 'started');
  const lines: string[] = [];
  const program = `#!${process.execPath}
    const { appendFileSync } = require('node:fs');
    appendFileSync('${started}', process.pid + ' ' + process.argv.slice(2, 5).join(' ') + '\\n');
    ${script}`;
  writeFileSync(join(dir, 'dhcp'), program, { mode: 0o755 });
  const socketPath = join(dir, 'dhcp.sock');
  const daemon = new DHCPDaemon(socketPath, [dir], (level, line) => lines.push(`${level} ${line}`));
  const starts = () => (existsSync(started) ? readFileSync(started, 'utf8').trim().split('\n') : []);
  const pids = () => starts().map((line) => Number(line.split(' ')[0]));
  return { daemon, socketPath, lines, starts, pids };
}

const LISTEN = "require('node:net').createServer().listen(process.argv[4]);";

describe('the DHCP daemon of the plugins', () => {
  it('is started once for all who need it at the same time, and ends when it is closed', async () => {
    const { daemon, socketPath, starts, pids } = setup(LISTEN);
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => daemon.socket())), [socketPath, socketPath, socketPath]);
    assert.equal(await daemon.socket(), socketPath);
    const [start = '', ...more] = starts();
    assert.deepEqual([start.replace(/^\d+/, ''), more], [` daemon -socketpath ${socketPath}`, []]);
    await daemon.close();
    assert.deepEqual(pids().map(isAlive), [false]);
    await daemon.close();
  });

  it('is replaced if it was lost, in place of the socket that it left, and this is reported', async () => {
    const { daemon, socketPath, lines, pids } = setup(LISTEN);
    let lost = 0;
    daemon.onLost = () => lost++;
    await daemon.socket();
    process.kill(pids()[0] ?? assert.fail('the daemon does not run'), 'SIGKILL');
    await waitFor(() => lost === 1, { what: 'the loss to be noticed' });
    assert(existsSync(socketPath));
    assert.deepEqual(lines, ['warn the DHCP daemon has exited unexpectedly (SIGKILL)']);
    await daemon.socket();
    assert.deepEqual(pids().map(isAlive), [false, true]);
    await daemon.close();
    assert.equal(lost, 1, 'closing is not a loss');
  });

  it('logs normal operation for debugging only', async () => {
    const reported = [
      'c1/net/eth0: acquiring lease',
      'c1/net/eth0: lease acquired, expiration is later',
      'c1/net/eth0: DHCP server did not renew lease',
    ];
    const { daemon, lines } = setup(
      `for (const line of ${JSON.stringify(reported)}) console.error('2024/01/31 10:00:00 ' + line); ${LISTEN}`,
    );
    await daemon.socket();
    await waitFor(() => lines.length === 3, { what: 'its lines' });
    assert.deepEqual(
      lines,
      reported.map((line, index) => `${index < 2 ? 'debug' : 'warn'} DHCP: ${line}`),
    );
    await daemon.close();
  });

  it('that ends at once is reported with its last output, and retried by the next that needs it', async () => {
    const { daemon, starts } = setup("console.error('2024/01/31 10:00:00 no luck'); process.exitCode = 3;");
    for (const time of [1, 2]) {
      await assert.rejects(daemon.socket(), (error: Error) => {
        assert(error instanceof CNIError);
        assert.equal(error.message, 'CNI plugin dhcp: cannot start its daemon: no luck (code 999)');
        return true;
      });
      assert.equal(starts().length, time);
    }
    await daemon.close();
  });

  it('is not there if the plugin is not', async () => {
    const daemon = new DHCPDaemon(join(tempDir(), 'dhcp.sock'), [tempDir()], () => {});
    await assert.rejects(daemon.socket(), PluginMissingError);
    await daemon.close();
  });
});
