import assert from 'node:assert/strict';
import { bridgeAddress, hasBridge } from '../../../setup/machine/lxc-bridge.js';
import { startStack } from '../../../support/index.js';
import { startBelow } from '../suite/below.js';
import { LISTEN, python } from './common.js';

describe('--bypass-outbound', () => {
  before(function () {
    if (!hasBridge()) this.skip();
  });

  it('makes connections to the outside in the network of the host, and no others', async () => {
    await using outside = await startStack({ args: ['--net=lxc-user-nic'] });
    await using _server = await outside.program('tcp-server', 'client', '0.0.0.0', 8001);
    const { stdout } = await outside.enter('ip', '-4', '-o', 'addr', 'show', 'eth0');
    const address = /10\.124\.0\.\d+/.exec(stdout)?.[0] ?? '';
    const script = `${LISTEN}
import errno, threading
def own(host, port, setup=lambda s: None):
    s = socket.socket()
    s.settimeout(5)
    setup(s)
    try: s.connect((host, port))
    except OSError as e: return e.errno and errno.errorcode[e.errno] or e
    return s.getsockname()[0], s.recv(100).decode()
outside, host = sys.argv[1:]
inner = listen(8002)
threading.Thread(target=lambda: [answer(inner, 'inner') for _ in range(1)]).start()
e = select.epoll()
for name, it in (
    ('outside', own(outside, 8001)),
    ('tied', own(outside, 8001, lambda s: s.bind(('10.0.2.100', 0)))),
    ('polled', own(outside, 8001, lambda s: e.register(s))),
    ('refused', own(outside, 8009)),
    ('loopback', own('127.0.0.1', 8002)),
): print(name, *(it if isinstance(it, tuple) else [it]), flush=True)
s = socket.socket()
s.connect((outside, 8001))
libc = __import__('ctypes').CDLL(None, use_errno=True)
for there in ('127.0.0.1', host, '0.0.0.0'):
    libc.connect(s.fileno(), bytes(16), 16)
    try: print('again', s.connect((there, 22)))
    except OSError as e: print('again', errno.errorcode[e.errno])
print('done', flush=True)`;
    await using stack = await startBelow({ args: ['--net=slirp4netns', '--port-driver=bypass', '--bypass-outbound'] });
    await using program = await stack.run(python(script, address, bridgeAddress), /^done$/m);
    const printed = program.output().replace(/ \d+$/gm, '').split('\n').slice(1, -1);
    assert.deepEqual(printed, [
      `outside ${bridgeAddress} ${bridgeAddress}`,
      `tied 10.0.2.100 ${bridgeAddress}`,
      `polled 10.0.2.100 ${bridgeAddress}`,
      'refused ECONNREFUSED',
      'loopback 127.0.0.1 inner',
      'again EPERM',
      'again EPERM',
      'again EPERM',
      'done',
    ]);
  });
});
