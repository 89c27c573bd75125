// Stacks that the tests of a describe block share: started before the first one, ended after the last one.
import { type ContainerStack, type ContainerStackOptions, removeAll, startContainerStack } from './containers.js';

/** Stands for an object that a hook makes later: has the members of what `current` returns when they are used. */
function madeLater<T extends object>(current: () => T | undefined): T {
  return new Proxy({} as T, {
    get(_, name) {
      const object = current();
      if (object === undefined)
        throw new Error(`${String(name)} is used before the hook that makes its object has run`);
      const value: unknown = Reflect.get(object, name);
      return typeof value === 'function' ? value.bind(object) : value;
    },
  });
}

/** What `start` starts, for the tests of the describe block in which this is called. */
export function withStack<T extends AsyncDisposable>(start: () => Promise<T>): T {
  let stack: T | undefined;
  before(async () => {
    stack = await start();
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });
  return madeLater(() => stack);
}

/**
 * A stack that runs containers, for the tests of the describe block in which this is called. After each of them all
 * containers and networks are removed, and it fails if files are left behind, unless `keep` is set; then only the containers
 * that a test has made are, and only where it failed, so that the next test does not fail for what it finds.
 */
export function withContainerStack({
  keep,
  ...options
}: ContainerStackOptions & { keep?: boolean } = {}): ContainerStack {
  const stack = withStack(() => startContainerStack(options));
  if (keep) removeAfterFailure(stack);
  else afterEach(() => removeAll(stack));
  return stack;
}

function removeAfterFailure(stack: ContainerStack): void {
  let before: string[] = [];
  const ids = async () => (await stack.containers.list()).map(({ id }) => id);
  beforeEach(async () => {
    before = await ids().catch(() => []);
  });
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    for (const id of await ids().catch(() => [])) {
      if (!before.includes(id)) await stack.containers.remove(id, { force: true }).catch(() => {});
    }
  });
}
