/** The packages as they are published, for the machine that runs the tests. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testPath } from '../../setup/machine/requirements.js';
import { repoRoot, tempDir } from '../../support/index.js';
import type { PublishedPackage } from './registry.js';

interface Targets {
  nativeParts: readonly string[];
  targets: Record<string, { arch: string; libc: string }>;
  packageManifest(target: string): { name: string; version: string };
}

export interface Packed {
  /** The archive of the package itself. */
  main: string;
  /** Those of native parts; each has the one of this machine. */
  native: PublishedPackage[];
}

const script = (name: string) => join(repoRoot, 'scripts', 'packages', name);

function must(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    env: { ...process.env, PATH: testPath },
  });
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/**
 * Packs the package, and a package with the native part that was built here, which stands for the prebuilt one: that takes
 * another compiler, and minutes.
 */
export async function pack(): Promise<Packed> {
  const { targets, nativeParts, packageManifest } = (await import(script('targets.mjs'))) as Targets;
  const directory = tempDir();
  const here = join(directory, 'here');
  mkdirSync(here);
  const built = join(repoRoot, 'native/build/Release');
  for (const name of nativeParts.filter((name) => existsSync(join(built, name)))) {
    copyFileSync(join(built, name), join(here, name));
    chmodSync(join(here, name), 0o755);
  }
  writeFileSync(join(here, 'package.json'), JSON.stringify(packageManifest(`${process.arch}-gnu`)));
  must('npm', 'pack', '--silent', '--pack-destination', directory, here);
  const main = must(process.execPath, script('pack.mjs'), directory).trim().split('\n')[0] ?? '';
  // Yarn 1 fetches those for other machines as well, and installs those of both C libraries.
  const { version } = packageManifest(`${process.arch}-gnu`);
  const archive = join(directory, `rootless-net-linux-${process.arch}-gnu-${version}.tgz`);
  const native = Object.keys(targets).map((target) => ({ manifest: packageManifest(target), archive }));
  chmodSync(directory, 0o755);
  return { main, native };
}
