// Hosts with names on an internet of a test's own, and a program that connects to them.
import assert from 'node:assert/strict';
import { binPath, type RunningStack, run, startStack, tempDir } from '../../../support/index.js';
import { onInternet, SITES, withNames } from '../../../support/stacks/internet.js';

const { open } = SITES[4];
const NAMES = {
  'allowed.test': [`A ${open}`, `AAAA ${SITES[6].open}`],
  'www.allowed.test': ['CNAME allowed.test'],
  'sub.wild.test': [`A ${open}`],
  'other.test': [`A ${open}`],
  'inside.test': ['A 10.99.0.1'],
};

/** A stack on a host with an internet of its own, and a resolver that knows these names. */
export function startWithNames(...args: string[]): Promise<RunningStack> {
  return startStack({ args: ['--net=builtin', '--ipv6', ...args], wrapper: onInternet(tempDir(), withNames(NAMES)) });
}

/** What programs inside do: each function returns one line. */
const CONNECT = `
import errno, socket, sys
def connect(host, port, data=b''):
    try:
        with socket.create_connection((host, int(port)), 5) as c:
            c.sendall(data)
            return c.recv(100).decode(errors='replace').split('\\r\\n')[0]
    except socket.gaierror as e: return 'no such name'
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
def http(host, name): return connect(host, 80, b'GET / HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' % name.encode())
def tls(host, name):
    import ssl
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, 443), 5) as c: context.wrap_socket(c, server_hostname=name)
    except ssl.SSLError as e: return 'answered'
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
`;

/** Calls functions of that program inside; returns the line of each. */
export async function resultsIn(stack: RunningStack, ...calls: string[]): Promise<string[]> {
  const program = `${CONNECT}\n${calls.map((call) => `print(${call})`).join('\n')}`;
  const { code, stdout, stderr } = await stack.enter('python3', '-c', program);
  assert.deepEqual([code, stderr], [0, '']);
  return stdout.trimEnd().split('\n');
}

/** rootlessctl on the host: a process of the user who has started the stack. */
export function ctlOnHost(stack: RunningStack, ...words: string[]) {
  return asUser(stack, [], binPath('rootlessctl'), `--socket=${stack.stateDir}/api.sock`, ...words);
}

/** A program in the network of that host. Throws where it fails. */
export async function onHost(stack: RunningStack, ...words: string[]): Promise<void> {
  const { code, stderr } = await asUser(stack, ['--net'], ...words);
  assert.deepEqual([code, stderr], [0, '']);
}

function asUser(stack: RunningStack, namespaces: string[], ...words: string[]) {
  const options = ['--user', '--preserve-credentials', ...namespaces, `--target=${stack.started.pid}`];
  return run('nsenter', [...options, '--', ...words]);
}
