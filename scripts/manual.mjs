// Writes the manual pages to dist/man/, from what was compiled.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = resolve(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const { manualPage } = await import('../dist/bin/manual.js');
const { rootlessctlManual, rootlesskitManual, rootlessNetManual, rootlessRunManual } = await import(
  '../dist/bin/manual-texts.js'
);
const { makeCommand } = await import('../dist/bin/run-options.js');
const { rootlesskit, rootlessRun } = await import('../dist/bin/dialect.js');
const { program: rootlessctl } = await import('../dist/bin/rootlessctl-command.js');
const { program: rootlessNet } = await import('../dist/bin/net-command.js');
const { VERSION } = await import('../dist/protocol/version.js');

const pages = [
  [makeCommand(rootlessRun), rootlessRunManual],
  [makeCommand(rootlesskit), rootlesskitManual],
  [rootlessctl, rootlessctlManual],
  [rootlessNet, rootlessNetManual],
];
mkdirSync(join(dist, 'man'), { recursive: true });
for (const [command, text] of pages) {
  writeFileSync(join(dist, 'man', `${command.name()}.1`), manualPage(command, text, VERSION));
}
