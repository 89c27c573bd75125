/**
 * Becomes a daemon twice over, as the worst of them do: node daemon.js FILE. Writes the pid of a process with a session
 * of its own, two forks below, to FILE, and stays.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const [file = '', generation = '0'] = process.argv.slice(2);

if (generation === '2') {
  writeFileSync(file, String(process.pid));
} else {
  const [script = ''] = process.argv.slice(1);
  spawn(process.execPath, [script, file, String(Number(generation) + 1)], { detached: true, stdio: 'ignore' }).unref();
}
// The one in the middle ends, so that the last one has lost its parent.
if (generation !== '1') {
  process.on('SIGHUP', () => {});
  setInterval(() => {}, 1 << 30);
}
