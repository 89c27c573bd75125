// The machines that there are packages with a built native part for, and what those packages are.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeOutputs } from '../build-state.mjs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Where packages are made; see .gitignore. */
export const output = join(root, 'prebuilt');

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Files of the native part that packages have; those for debuggers and of the build stay. */
export const nativeParts = [...nativeOutputs, 'container_init', 'container_exec'];

/** The oldest version of glibc that the addon has to run with: that of RHEL 8 and Debian 10, as for Node.js itself. */
const GLIBC = '2.28';

const cpus = { x64: 'x86_64', arm64: 'aarch64' };

/**
 * By their names, such as x64-gnu: architecture and C library as Node and npm call them, and the addon's target as the
 * compiler does.
 */
export const targets = Object.fromEntries(
  Object.entries(cpus).flatMap(([arch, cpu]) => [
    [`${arch}-gnu`, { arch, libc: 'glibc', triple: `${cpu}-linux-gnu.${GLIBC}`, programs: `${cpu}-linux-musl` }],
    [`${arch}-musl`, { arch, libc: 'musl', triple: `${cpu}-linux-musl`, programs: `${cpu}-linux-musl` }],
  ]),
);

export const packageName = (target) => `@rootless-net/linux-${target}`;
export const packageDirectory = (target) => join(output, `linux-${target}`);

/** The manifest of a target's package. */
export function packageManifest(target) {
  const { arch, libc } = targets[target];
  const { version, license, repository } = manifest;
  return {
    name: packageName(target),
    version,
    description: `The native part of rootless-net for Linux (${arch}, ${libc})`,
    license,
    ...(repository && { repository }),
    os: ['linux'],
    cpu: [arch],
    libc: [libc],
    // Yarn's zip files cannot be executed.
    preferUnplugged: true,
  };
}
