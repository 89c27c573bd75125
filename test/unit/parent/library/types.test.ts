import assert from 'node:assert/strict';
import type { Readable, Writable } from 'node:stream';
import {
  createNamespace,
  type EventOf,
  type Events,
  type Namespace,
  type NamespaceOptions,
  type NewPort,
  type Port,
  type Program,
  type ProgramResult,
  type RunOptions,
  type StackEvent,
  type StackHandle,
} from '../../../../parent/index.js';

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles for `true` only. */
const check = <_T extends true>(): void => {};

/** Never called: the compiler checks it. */
async function typesOfTheLibrary(ns: Namespace, stack: StackHandle): Promise<void> {
  check<Same<Parameters<typeof createNamespace>, [options?: NamespaceOptions | undefined]>>();
  check<Same<Awaited<ReturnType<typeof createNamespace>>, Namespace>>();
  const options: NamespaceOptions = { net: 'slirp4netns', allow: ['example.com'], namespaces: ['pid'] };
  await createNamespace(options);
  // @ts-expect-error: an unknown network
  await createNamespace({ net: 'fast' });
  // @ts-expect-error: an unknown option
  await createNamespace({ nett: 'none' });
  // @ts-expect-error: that port driver is for commands only
  await createNamespace({ portDriver: 'bypass' });

  const port: Port = await ns.publish('127.0.0.2:8080:80');
  check<Same<typeof port.port, number>>();
  await ns.publish({ host: '::1', targetPort: 80 } satisfies NewPort);
  // @ts-expect-error: without the port inside
  await ns.publish({ port: 80 });

  const program = ns.run('true', ['x'], { stdio: ['ignore', 'pipe', 2] } satisfies RunOptions);
  check<Same<typeof program, Program>>();
  check<Same<typeof program.stdin, Writable | undefined>>();
  check<Same<typeof program.stdout, Readable | undefined>>();
  const result = await program;
  check<Same<typeof result, ProgramResult>>();
  // @ts-expect-error: the arguments are a list
  ns.run('true', 'x');

  const denied = ns.events({ type: 'egress-denied' });
  check<Same<typeof denied, Events<'egress-denied'>>>();
  for await (const event of denied) check<Same<typeof event.reason, string>>();
  for await (const event of ns.events({ type: ['port-added', 'port-removed'] })) {
    check<Same<typeof event.type, 'port-added' | 'port-removed'>>();
    // @ts-expect-error: events about ports have no client
    event.client;
  }
  for await (const event of ns.events()) check<Same<typeof event, EventOf<StackEvent['type']>>>();
  // @ts-expect-error: an unknown type
  ns.events({ type: 'port-lost' });

  check<Same<keyof StackHandle, Exclude<keyof Namespace, 'pid'>>>();
  const container = await stack.containers.run({ rootfs: '/srv/root', command: ['sh'] });
  check<Same<typeof container.program, Program | undefined>>();
  const { exitCode } = await container.exec('ls');
  check<Same<typeof exitCode, number | undefined>>();
  await stack.networks.create({ name: 'db' });
  // @ts-expect-error: without a name
  await stack.networks.create({});
  await using disposed = ns;
  disposed satisfies AsyncDisposable;
}

describe('the types of the library', () => {
  it('are checked by the compiler', () => {
    assert.equal(typeof typesOfTheLibrary, 'function');
  });
});
