import assert from 'node:assert/strict';
import { freePort, startStack, udpAsk } from '../../../support/index.js';
import { pythonProgram } from '../../../support/paths.js';
import { listenOnce } from '../suite/common.js';
import { ask } from './common.js';

/** A program that prints what it was started with (sd_listen_fds(3)), and then answers on each socket with its number. */
const ACTIVATED = pythonProgram('processes/activated-server');

describe('--activate', () => {
  it('starts the command with the sockets of its ports, under the names of its own', async () => {
    await using stack = await startStack({
      args: ['--net=none', '--port-driver=bypass', '--activate', '--allow-host-loopback'],
      publish: ['127.0.0.2:0:80', '127.0.0.3:0:443', '127.0.0.2:0:53/udp'],
      command: ['python3', '-c', ACTIVATED],
    });
    const ports = await stack.published();
    const [web, secure, names] = ports;
    assert(web && secure && names);
    assert.equal(await ask(web.host, web.port), '3 80/tcp');
    assert.equal(await ask(secure.host, secure.port), '4 443/tcp');
    assert.equal((await udpAsk(names.host, names.port, '?')).toString(), '5 53/udp');
    for (const { id } of ports) assert.equal((await stack.report(id)).bypass, true);
    assert.match(
      stack.started.output(),
      new RegExp(
        `^80/tcp SOCK_STREAM True ${web.port}\n443/tcp SOCK_STREAM True ${secure.port}\n53/udp SOCK_DGRAM True ${names.port}$`,
        'm',
      ),
    );
    await stack.api.removePort(web.id);
    await listenOnce(web.host, web.port);
    assert.equal(await ask(secure.host, secure.port), '4 443/tcp');
  });

  it('puts them after those that a service manager has passed', async () => {
    const outer = await freePort('127.0.0.4');
    const manager = `
import os, socket, sys
s = socket.create_server(('127.0.0.4', int(sys.argv[1])))
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='outer')
os.execvp(sys.argv[2], sys.argv[2:])`;
    await using stack = await startStack({
      wrapper: ['python3', '-c', manager, String(outer)],
      args: ['--net=none', '--port-driver=bypass', '--activate'],
      publish: ['127.0.0.2:0:80'],
      command: ['python3', '-c', ACTIVATED],
    });
    const [inner] = await stack.published();
    assert(inner);
    assert.equal(await ask('127.0.0.4', outer), '3 outer');
    assert.equal(await ask(inner.host, inner.port), '4 80/tcp');
  });
});
