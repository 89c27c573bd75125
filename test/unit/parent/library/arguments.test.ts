import assert from 'node:assert/strict';
import { ContainerClient } from '../../../../parent/client/container-client.js';
import { connectStack, createNamespace, ExpectedError } from '../../../../parent/index.js';
import { Container } from '../../../../parent/library/containers/container.js';
import { BaseHandle } from '../../../../parent/library/stack-handle.js';

const NOWHERE = '/nowhere/api.sock';

/** Of no stack: whatever is wrong is refused before. */
class Handle extends BaseHandle {
  protected readonly endsAll = false;
  protected source(): never {
    assert.fail('a program was started');
  }
  protected async end(): Promise<void> {}
}

async function failureOf(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
  } catch (error) {
    if (error instanceof ExpectedError) return error;
    throw error;
  }
  return assert.fail('it did not fail');
}

/** As programs in JavaScript can call the library. */
type Untyped = (...args: unknown[]) => unknown;

describe('arguments of the library', () => {
  const handle = new Handle(NOWHERE);
  const container = new Container(new ContainerClient(NOWHERE), { id: '0', name: 'none' });
  const run = handle.run.bind(handle) as Untyped;
  const publish = handle.publish.bind(handle) as Untyped;
  const cases: [call: string, make: Untyped, message: RegExp][] = [
    ['a command that is missing', () => run(), /^invalid command undefined: expected a string/],
    ['arguments in one text', () => run('ls', '-l'), /^invalid args "-l": expected an array/],
    ['an argument with a NUL', () => run('ls', ['a\0b']), /^invalid args \["a\\u0000b"\]/],
    ['an unknown option', () => run('ls', [], { timeOut: 1 }), /^unknown option timeOut: there are .*timeout/],
    ['a time that a timer cannot have', () => run('ls', [], { timeout: 2 ** 31 }), /^invalid timeout 2147483648/],
    ['no number', () => run('ls', [], { timeout: Number.NaN }), /^invalid timeout NaN/],
    ['an unknown signal', () => run('ls', [], { killSignal: 'SIGFOO' }), /^invalid killSignal "SIGFOO"/],
    ['another object', () => run('ls', [], { cancelSignal: new AbortController() }), /cancelSignal AbortController/],
    ['a list in an environment', () => run('ls', [], { env: ['A=B'] }), /^invalid env \["A=B"\]/],
    ['the name of no variable', () => run('ls', [], { env: { 'A=B': '' } }), /^invalid env/],
    ['two streams', () => run('ls', [], { stdio: ['pipe', 'pipe'] }), /^invalid stdio \["pipe","pipe"\]/],
    ['a number as directory', () => run('ls', [], { cwd: 5n }), /^invalid cwd 5: expected a string/],
    ['the same for exec()', () => (container.exec as Untyped).call(container, 'ls', [], { cwd: 5 }), /^invalid cwd 5/],
    ['nothing to publish', () => publish(), /^invalid port: expected a string or an object, not undefined/],
    ['no port inside', () => publish({ port: 80 }), /^invalid port: no targetPort/],
    ['a port as text', () => publish({ targetPort: '80' }), /^invalid port: invalid targetPort "80": expected a whole/],
    [
      'an unknown key of a port',
      () => publish({ targetPort: 80, hostPort: 1 }),
      /unknown option hostPort: .*targetPort/,
    ],
    [
      'an unknown type of events',
      () => handle.events({ type: 'port-lost' as 'port-added' }),
      /^invalid type "port-lost"/,
    ],
    ['an unknown filter', () => (handle.events as Untyped).call(handle, { types: [] }), /^unknown option types/],
    ['a stack by an unknown key', () => (connectStack as Untyped)({ name: 'web' }), /^unknown option name: .*stack/],
    ['a stack by a number', () => (connectStack as Untyped)(1234), /^invalid options 1234: expected an object/],
    [
      'an unknown option of pasta',
      () => (createNamespace as Untyped)({ pasta: { path: '' } }),
      /option pasta\.path: there are binary/,
    ],
    [
      'a log that is no function',
      () => (createNamespace as Untyped)({ log: { warn: 1 } }),
      /^invalid log\.warn 1: expected a function/,
    ],
    [
      'a key of directories',
      () => (createNamespace as Untyped)({ containers: { dataDir: 'a', confDir: 'b', c: 1 } }),
      /containers\.c/,
    ],
  ];
  for (const [call, make, message] of cases) {
    it(`are refused by their names: ${call}`, async () => {
      const error = await failureOf(make);
      assert.match(error.message, message);
      assert.ok(['invalid-option', 'invalid-port'].includes(error.code), error.code);
    });
  }
});
