// The programs and packages that compile.mjs bundles, and the other scripts find in dist/.

/** Below dist/. */
export const programs = [
  'bin/rootless-run.js',
  'bin/rootlesskit.js',
  'bin/rootlessctl.js',
  'bin/rootless-net.js',
  'child/agent.js',
  'child/reader.js',
];

/** Packages that a usual start does not need. Reading them takes time, so they are bundles of their own, loaded on demand. */
export const packages = ['execa', 'ws'];
