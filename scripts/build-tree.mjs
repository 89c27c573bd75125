// Trees for building the native part in other ways, such as with sanitizers in native/build-sanitize/NAME: each links to the
// sources, so that the ordinary build is left alone.
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

/** Links these paths of the checkout into the tree, and returns its path. */
export function makeTree(checkout, tree, paths = ['native/binding.gyp', 'native/src']) {
  for (const path of paths) {
    const link = join(tree, path);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { recursive: true, force: true });
    symlinkSync(join(checkout, path), link);
  }
  return tree;
}

/** Creates the tree and returns its path; it has a folder native/ as the checkout does. Throws for an unknown name. */
export function makeSanitizedTree(checkout, name) {
  if (!Object.hasOwn(flags, name)) {
    throw new Error(`Invalid --sanitize=${name}: expected ${Object.keys(flags).join(' or ')}`);
  }
  const tree = join(checkout, 'native', 'build-sanitize', name);
  return makeTree(checkout, tree, ['native/binding.gyp', 'native/src', 'bench/load', 'test/programs/native']);
}

/** Environment for node-gyp, which puts its own flags before these. Sanitizers do not see fortified calls. */
export function sanitizerEnvironment(name) {
  const compile = [...flags[name], '-fno-omit-frame-pointer', '-g', '-O1', '-U_FORTIFY_SOURCE'].join(' ');
  // Parts of the C++ library that Node exports too are the addon's own: ThreadSanitizer does not watch Node's, and takes each
  // change of a reference count there for a race.
  const link = name === 'thread' ? ' -Wl,-Bsymbolic' : '';
  return { CFLAGS: compile, CXXFLAGS: compile, LDFLAGS: flags[name][0] + link };
}
