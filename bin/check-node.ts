/** Run first by every command (scripts/compile.mjs): ends with one line where Node is too old for the rest. */
const NEEDED = [20, 19] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  process.stderr.write(
    `rootless-net needs Node.js ${NEEDED.join('.')} or later, this is ${process.versions.node} (${process.execPath}); install a newer one\n`,
  );
  process.exit(1);
}
