import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

function must(cwd: string, program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${stderr || error?.message}`);
  return stdout;
}

/** Makes `root`, which is served at `url`, a registry with the package hello; returns the lock file of who depends on it. */
export function npmRegistry(root: string, url: string): string {
  mkdirSync(join(root, 'package'));
  mkdirSync(join(root, 'files'));
  const manifest = { name: 'hello', version: '1.0.0', main: 'index.js' };
  writeFileSync(join(root, 'package', 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(root, 'package', 'index.js'), "module.exports = 'hello from a package';\n");
  must(root, 'tar', '-czf', 'files/hello-1.0.0.tgz', 'package');
  const archive = readFileSync(join(root, 'files', 'hello-1.0.0.tgz'));
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  const resolved = `${url}/files/hello-1.0.0.tgz`;
  const versions = { '1.0.0': { ...manifest, dist: { tarball: resolved, integrity } } };
  writeFileSync(join(root, 'hello'), JSON.stringify({ name: 'hello', 'dist-tags': { latest: '1.0.0' }, versions }));
  const dependencies = { hello: '1.0.0' };
  const packages = { '': { dependencies }, 'node_modules/hello': { version: '1.0.0', resolved, integrity } };
  return JSON.stringify({ name: 'user', lockfileVersion: 3, requires: true, packages });
}

/** Makes `root` a Debian repository with the package hello-test. */
export function debianRepository(root: string): void {
  const control = 'Package: hello-test\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: test\n';
  mkdirSync(join(root, 'hello', 'DEBIAN'), { recursive: true });
  writeFileSync(join(root, 'hello', 'DEBIAN', 'control'), control);
  must(root, 'dpkg-deb', '--build', 'hello', 'hello.deb');
  const file = join(root, 'hello.deb');
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
  const place = `Filename: ./hello.deb\nSize: ${statSync(file).size}\nSHA256: ${hash}\n`;
  writeFileSync(join(root, 'Packages'), control + place);
}

/** Makes `directory` a git repository, for git-daemon(1) and for servers of plain files. */
export function gitRepository(directory: string): void {
  mkdirSync(directory);
  must(directory, 'git', 'init', '--quiet', '--bare', '--initial-branch=main');
  const author = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@test'];
  const tree = must(directory, 'git', 'write-tree').trim();
  const committed = must(directory, 'git', ...author, 'commit-tree', '-m', 'first', tree);
  must(directory, 'git', 'update-ref', 'refs/heads/main', committed.trim());
  must(directory, 'git', 'update-server-info');
}
