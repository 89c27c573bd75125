// Damaged DNS messages for all functions that read them: node dist/test/fuzz-dns.js [COUNT [SEED]], a million unless given, on
// each processor some. Fails where a message takes 50 µs or longer, and prints it. A unit test does the same with fewer.
import { availableParallelism } from 'node:os';
import { nativeTest } from './support/native-test.js';
import { dnsSampleFile } from './support/traffic/dns.js';

const MAX_NS = 50_000;

interface Worst {
  /** In nanoseconds. */
  worst: number;
  /** The first bytes of the message, in hexadecimal. */
  message: string;
}

const [count = 1_000_000, seed = 1] = process.argv.slice(2).map(Number);
if (!(Number.isInteger(count) && count > 0 && Number.isInteger(seed))) {
  process.stderr.write('usage: node dist/test/fuzz-dns.js [COUNT [SEED]]\n');
  process.exit(2);
}
const parts = Math.min(availableParallelism(), count);
const results = await Promise.all(
  Array.from({ length: parts }, async (_, part) => {
    const share = String(Math.ceil(count / parts));
    const words = ['dns-fuzz', dnsSampleFile, String(seed + part), share];
    const [result] = await nativeTest<{ inputs: number } & Record<string, Worst>>(words, [], 3_600_000);
    return result;
  }),
);
for (const result of results) {
  for (const [call, found] of Object.entries(result ?? {})) {
    if (typeof found === 'number') continue;
    const isSlow = found.worst >= MAX_NS;
    if (isSlow) process.exitCode = 1;
    process.stdout.write(
      `${call}: at most ${(found.worst / 1000).toFixed(1)} µs${isSlow ? `, ${found.message}` : ''}\n`,
    );
  }
}
process.stdout.write(
  `${results.reduce((sum, result) => sum + (result?.inputs ?? 0), 0)} messages, from seed ${seed} on\n`,
);
