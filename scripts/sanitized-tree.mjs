// A second tree for building the native part with AddressSanitizer and UndefinedBehaviorSanitizer: native/build-sanitize
// links to the sources, so that the ordinary build is left alone.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The targets that are built there: those that run in the tests' process. */
export const sanitizedTargets = ['rootless_net'];

/** Creates the tree and returns its path; it has a folder native/ as the checkout does. */
export function makeSanitizedTree(checkout) {
  const tree = join(checkout, 'native', 'build-sanitize');
  mkdirSync(join(tree, 'native'), { recursive: true });
  for (const name of ['binding.gyp', 'src']) {
    const link = join(tree, 'native', name);
    rmSync(link, { force: true });
    symlinkSync(join(checkout, 'native', name), link);
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
