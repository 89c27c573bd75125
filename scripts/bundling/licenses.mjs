// The licenses of the packages that bundles contain, as these ask for.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Directories of the packages that these bundles (records of esbuild's) consist of, below the root; sorted. */
function packagesOf(metafiles) {
  const inputs = metafiles.flatMap(({ inputs }) => Object.keys(inputs));
  const directories = inputs.map((path) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  return [...new Set(directories.filter((directory) => directory !== undefined))].sort();
}

/** Name, version and license of each, as one text; throws where one has no text of its license. */
export function thirdPartyLicenses(root, metafiles) {
  const texts = packagesOf(metafiles).map((directory) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, directory)).find((file) => /^licen[cs]e/i.test(file));
    if (file === undefined) throw new Error(`${name} has no file LICENSE`);
    const text = readFileSync(join(root, directory, file), 'utf8').trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `The programs and the library contain these packages.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}
