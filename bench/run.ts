// The benchmark: npm run bench, see README.md. As root it runs in namespaces of its own, with reno as congestion control, and
// each candidate as an unprivileged user of its own.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrepareError } from '../test/setup/machine/prepare.js';
import { checkNamespaces, runInNamespaces } from '../test/setup/namespaces.js';
import { readableCopy } from '../test/setup/readable-copy.js';
import { repoRoot } from '../test/support/paths.js';
import { bench } from './bench.js';
import type { Candidate, Candidates } from './candidates/candidate.js';
import { type BenchNetwork, foundNetwork, makeNetwork } from './environment/network.js';
import { type Account, makeAccount } from './environment/users.js';
import type { Environment } from './model.js';
import { parseOptions, UsageError } from './options.js';

/** Set in the process inside the namespaces: the directory for its files. */
const insideVariable = 'ROOTLESS_NET_BENCH_DIRECTORY';

const report = (line: string) => process.stderr.write(`${line}\n`);

/** Runs this program again in namespaces made for it; resolves to its exit code. */
async function enterNamespaces(): Promise<number> {
  checkNamespaces();
  const directory = mkdtempSync('/tmp/rnb-');
  try {
    chmodSync(directory, 0o755);
    const self = fileURLToPath(import.meta.url);
    const environment = { ...process.env, [insideVariable]: directory };
    return await runInNamespaces([process.execPath, self, ...process.argv.slice(2)], environment);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Accounts, network and programs for the candidates. */
function environment(directory: string, network: BenchNetwork, known: Candidates): Environment {
  const accounts = new Map<string, Account>();
  const account = (name: string) => {
    const known = accounts.get(name) ?? makeAccount(name, directory);
    accounts.set(name, known);
    return known;
  };
  const client = account('client');
  const programs =
    client.user !== undefined ? readableCopy(directory, client.user) : { node: process.execPath, root: repoRoot };
  // For our own programs.
  process.env.ROOTLESS_NET_NODE = programs.node;
  const candidates = Object.fromEntries(
    Object.entries(known).map(([name, candidate]): [string, Candidate] => {
      const { user } = client;
      if (candidate.root === undefined || user === undefined) return [name, candidate];
      const place = join(directory, `copy-${name}`);
      mkdirSync(place, { mode: 0o755 });
      return [name, { ...candidate, root: readableCopy(place, user, candidate.root).root }];
    }),
  );
  return { ...programs, candidates, account, client, network, progress: report };
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const inside = process.env[insideVariable];
  if (inside !== undefined) return bench(options, environment(inside, await makeNetwork(), options.known));
  if (process.getuid?.() === 0) return enterNamespaces();
  const directory = mkdtempSync(join(tmpdir(), 'rnb-'));
  try {
    return await bench(options, environment(directory, foundNetwork(), options.known));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError) && !(error instanceof PrepareError)) throw error;
  report(error.message);
  process.exitCode = 1;
}
