// A second tree for building the native part with AddressSanitizer and UndefinedBehaviorSanitizer: native/build-sanitize
// links to the sources, so that the ordinary build is left alone.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The targets that are built there: what runs in the tests' process, and what they call of the rest. */
export const sanitizedTargets = ['rootless_net', 'native_test'];

/** What these targets leave in native/build/Release. */
export const sanitizedOutputs = ['rootless_net.node', 'native_test'];

/** Creates the tree and returns its path; it has a folder native/ as the checkout does. */
export function makeSanitizedTree(checkout) {
  const tree = join(checkout, 'native', 'build-sanitize');
  for (const path of ['native/binding.gyp', 'native/src', 'bench/load', 'test/programs/native']) {
    const link = join(tree, path);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { recursive: true, force: true });
    symlinkSync(join(checkout, path), link);
  }
  return tree;
}

const sanitizers = [
  '-fsanitize=address,undefined',
  // Node's headers are compiled without run-time type information.
  '-fno-sanitize=vptr',
  // A finding ends the process, so that the tests fail.
  '-fno-sanitize-recover=all',
  '-fno-omit-frame-pointer',
];

/** Environment for node-gyp, which puts its own flags before these. Sanitizers do not see fortified calls. */
export const sanitizerEnvironment = {
  CFLAGS: [...sanitizers, '-g', '-O1', '-U_FORTIFY_SOURCE'].join(' '),
  CXXFLAGS: [...sanitizers, '-g', '-O1', '-U_FORTIFY_SOURCE'].join(' '),
  LDFLAGS: sanitizers.slice(0, 1).join(' '),
};
