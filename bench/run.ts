// The benchmark: npm run bench, see README.md here. As root it runs in namespaces of its own, with reno there,
// and each candidate as an unprivileged user of its own.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeHostNetwork } from '../test/setup/host-network.js';
import { checkNamespaces, runInNamespaces } from '../test/setup/namespaces.js';
import { PrepareError } from '../test/setup/prepare.js';
import { readableCopy } from '../test/setup/readable-copy.js';
import { repoRoot } from '../test/support/paths.js';
import { ownName } from './candidates.js';
import { checkLoad, checkPipes, checkSteal, describeMachine, describeVersions, processorTime } from './conditions.js';
import { containersUnavailable, measureContainers, type SuiteReport } from './containers.js';
import { measureRow, type Surroundings, unavailable } from './measure.js';
import { type BenchOptions, parseOptions, UsageError } from './options.js';
import { formatRow, formatSuite, type RowReport, reportRow } from './report.js';
import { rows } from './rows.js';
import { type Account, makeAccount } from './users.js';

/** Set in the process that runs inside the namespaces: the directory that it may use. */
const insideVariable = 'ROOTLESS_NET_BENCH_DIRECTORY';

const say = (line: string) => process.stderr.write(`${line}\n`);

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

/** Where the candidates run: who is who, and from where the programs are taken. */
function surroundings(directory: string, isRoot: boolean): Surroundings {
  const accounts = new Map<string, Account>();
  const account = (name: string) => {
    const known = accounts.get(name) ?? makeAccount(name, directory);
    accounts.set(name, known);
    return known;
  };
  const client = account('client');
  const programs =
    isRoot && client.user !== undefined
      ? readableCopy(directory, client.user)
      : { node: process.execPath, root: repoRoot };
  return { ...programs, account, client, progress: say };
}

/** Measures all that is asked for and prints it; resolves to the exit code. */
async function bench(options: BenchOptions, where: Surroundings): Promise<number> {
  const machine = describeMachine();
  const versions = describeVersions();
  const warnings = new Set<string>();
  const warn = (warning: string | undefined) => {
    if (warning === undefined || warnings.has(warning)) return;
    warnings.add(warning);
    say(`warning: ${warning}`);
  };
  const { processor, cores, memoryGiB, kernel, congestionControl } = machine;
  say(`${processor}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, ${congestionControl} for the clients`);
  say(
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  );
  if (where.client.user === undefined) {
    warn('not root: all candidates share one user and thus one ration of pipes; as root each has its own');
    if (congestionControl === 'bbr') warn('the congestion control here is bbr, which paces: all figures are too low');
  }
  warn(checkLoad());

  const reports: (RowReport | SuiteReport)[] = [];
  let failed = false;
  const show = (text: string) => process.stdout.write(`${reports.length > 1 ? '\n' : ''}${text}\n`);
  for (const name of options.rows) {
    if (name === 'container') {
      const reason = containersUnavailable();
      if (reason !== undefined) {
        say(`${name}: ${reason}`);
        failed = true;
        continue;
      }
      const report = await measureContainers(options.rounds, where);
      reports.push(report);
      show(formatSuite(report));
      continue;
    }
    const row = rows[name];
    if (row === undefined) continue;
    const reason = unavailable(row, where.root);
    if (reason !== undefined) {
      say(`${name}: ${reason}`);
      failed = true;
      continue;
    }
    const checkAllPipes = () => {
      for (const candidate of options.candidates) warn(checkPipes(where.account(candidate), where.root));
    };
    checkAllPipes();
    const since = processorTime();
    const report = reportRow(name, row, await measureRow(row, options, where));
    checkAllPipes();
    warn(checkSteal(since));
    reports.push(report);
    show(formatRow(report, row.decimals));
    const own = report.candidates.find((candidate) => candidate.name === ownName);
    if (own && own.median === undefined) failed = true;
  }
  if (options.json !== undefined) {
    const { rounds, seconds } = options;
    const record = { date: new Date().toISOString(), machine, versions, rounds, seconds };
    writeFileSync(
      resolve(options.json),
      `${JSON.stringify({ ...record, warnings: [...warnings], rows: reports }, null, 2)}\n`,
    );
  }
  return failed ? 1 : 0;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const isRoot = process.getuid?.() === 0;
  const inside = process.env[insideVariable];
  if (isRoot && inside === undefined) return enterNamespaces();
  if (inside !== undefined) {
    makeHostNetwork();
    return bench(options, surroundings(inside, isRoot));
  }
  const directory = mkdtempSync(join(tmpdir(), 'rnb-'));
  try {
    return await bench(options, surroundings(directory, isRoot));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError) && !(error instanceof PrepareError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
