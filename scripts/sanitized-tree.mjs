// Trees for building the native part with sanitizers, native/build-sanitize/NAME: each links to the sources, so that the
// ordinary build is left alone.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The targets that are built there: what runs in the tests' process, and what they call of the rest. */
export const sanitizedTargets = ['rootless_net', 'native_test'];

/** What these targets leave in native/build/Release. */
export const sanitizedOutputs = ['rootless_net.node', 'native_test'];

/** Sanitizers that exclude each other are builds of their own. */
const flags = {
  address: [
    '-fsanitize=address,undefined',
    // Node's headers are compiled without run-time type information.
    '-fno-sanitize=vptr',
    // A finding ends the process, so that the tests fail.
    '-fno-sanitize-recover=all',
  ],
  thread: ['-fsanitize=thread'],
};

/** The name in `--sanitize=NAME` of the arguments; undefined without one. */
export function sanitizerIn(args) {
  const name = args.find((arg) => arg.startsWith('--sanitize='))?.slice('--sanitize='.length);
  if (name !== undefined && !Object.hasOwn(flags, name)) {
    throw new Error(`Invalid --sanitize=${name}: expected ${Object.keys(flags).join(' or ')}`);
  }
  return name;
}

/** Creates the tree and returns its path; it has a folder native/ as the checkout does. */
export function makeSanitizedTree(checkout, name) {
  const tree = join(checkout, 'native', 'build-sanitize', name);
  for (const path of ['native/binding.gyp', 'native/src', 'bench/load', 'test/programs/native']) {
    const link = join(tree, path);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { recursive: true, force: true });
    symlinkSync(join(checkout, path), link);
  }
  return tree;
}

/** Environment for node-gyp, which puts its own flags before these. Sanitizers do not see fortified calls. */
export function sanitizerEnvironment(name) {
  const compile = [...flags[name], '-fno-omit-frame-pointer', '-g', '-O1', '-U_FORTIFY_SOURCE'].join(' ');
  // Parts of the C++ library that Node exports too are the addon's own: ThreadSanitizer does not watch Node's, and takes each
  // change of a reference count there for a race.
  const link = name === 'thread' ? ' -Wl,-Bsymbolic' : '';
  return { CFLAGS: compile, CXXFLAGS: compile, LDFLAGS: flags[name][0] + link };
}
