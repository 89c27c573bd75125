// What is bundled, see compile.mjs.

/** Below dist/. */
export const programs = [
  'bin/rootless-run.js',
  'bin/rootlesskit.js',
  'bin/rootlessctl.js',
  'bin/rootless-net.js',
  'child/agent.js',
];

/** Packages that a start does without: even to read them takes time. Programs load them when they need them. */
export const packages = ['execa', 'ws'];
