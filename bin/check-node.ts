/** Run first by every command (scripts/compile.mjs): ends with one line where Node is too old for the rest. */

/** The least version that package.json supports (engines), such as 20.19; put in when this is bundled. */
declare const LEAST_NODE: string;

const [leastMajor = 0, leastMinor = 0] = LEAST_NODE.split('.').map(Number);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
  process.stderr.write(
    `rootless-net needs Node.js ${LEAST_NODE} or later, this is ${process.versions.node} (${process.execPath}); install a newer one\n`,
  );
  // RootlessKit's names have its code.
  process.exit(/\brootless(kit|ctl)\b/.test(process.argv[1] ?? '') ? 1 : 125);
}
