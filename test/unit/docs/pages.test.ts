import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { makeWholeCommand } from '../../../bin/completion/rootless-run.js';
import { makeRootlessctlCommand } from '../../../bin/ctl/command.js';
import { commandReference } from '../../../bin/manual/reference.js';
import { makeRootlessNetCommand } from '../../../bin/net/command.js';
import { rootlessRun } from '../../../bin/run/dialect.js';
import { makeRunCommand } from '../../../bin/run/options/command.js';
import { optionReference } from '../../../bin/run/options/reference.js';
import { capabilityTexts, driverCapabilities } from '../../integration/ports/suite/capabilities.js';
import { docPages } from '../../support/doc-blocks.js';
import { repoRoot } from '../../support/index.js';
import { filesBelow } from '../tooling/run-programs.js';
import { compareGenerated } from './generated.js';

const pages = docPages;
const read = (page: string) => readFileSync(join(repoRoot, page), 'utf8');

/** Every Markdown file of the repository, those beside the sources included. */
function allPages(): string[] {
  const own = readdirSync(repoRoot).filter((name) => name.endsWith('.md'));
  const folders = ['bench', 'bin', 'child', 'docs', 'examples', 'native', 'parent', 'protocol', 'scripts', 'test'];
  const below = folders
    .filter((folder) => existsSync(join(repoRoot, folder)))
    .flatMap((folder) => filesBelow(join(repoRoot, folder), '.md').map((path) => relative(repoRoot, path)));
  return [...own, ...below.filter((path) => !path.includes('node_modules'))];
}

const withoutCode = (text: string) => text.replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, '');

/** Anchors of a page: those of its headings, as GitHub makes them, and explicit ones. */
function sectionsOf(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
  return [...headings, ...[...text.matchAll(/<a id="([^"]+)"/g)].map(([, id = '']) => id)];
}

describe('the documentation', () => {
  it('shows what the port drivers can do as it is tested', () => {
    const names = Object.keys(driverCapabilities) as (keyof typeof driverCapabilities)[];
    const keys = Object.keys(capabilityTexts) as (keyof typeof capabilityTexts)[];
    const rows = keys.map((key) => {
      const cells = names.map((name) => (driverCapabilities[name][key] ? 'yes' : 'no'));
      return `| ${capabilityTexts[key]} | ${cells.join(' | ')} |`;
    });
    const table = [`| | ${names.join(' | ')} |`, `|---|${names.map(() => '---|').join('')}`, ...rows].join('\n');
    compareGenerated('docs/guide/ports.md', 'capabilities', table);
  });

  it('shows the options of rootless-run as the table of options has them', () => {
    compareGenerated('docs/guide/options.md', 'options', optionReference());
  });

  it('shows the commands as their --help does', () => {
    const programs = [makeRootlessNetCommand(), makeRootlessctlCommand(), makeWholeCommand()];
    compareGenerated('docs/help/commands.md', 'commands', commandReference(programs, makeRunCommand(rootlessRun)));
  });

  it('leads to pages and sections that exist', () => {
    const broken = allPages().flatMap((page) =>
      [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
        const [target = '', section] = link.split('#');
        if (/^[a-z]+:/.test(target)) return [];
        const path = target === '' ? page : join(dirname(page), target);
        if (!existsSync(join(repoRoot, path))) return [`${page} leads to ${link}`];
        const known = section === undefined || !path.endsWith('.md') || sectionsOf(read(path)).includes(section);
        return known ? [] : [`${page} leads to the section ${link}`];
      }),
    );
    assert.deepEqual(broken, []);
  });

  it('names scripts of npm that exist', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const missing = allPages().flatMap((page) =>
      [...read(page).matchAll(/\bnpm run (?:--?\S+ )*([a-z][\w:-]*)/g)]
        // The script of a user's own project.
        .filter(([, name = '']) => name !== 'dev' && !Object.hasOwn(scripts, name))
        .map(([whole]) => `${page}: ${whole}`),
    );
    assert.deepEqual(missing, []);
  });

  it('runs each block of a recipe, or names why not', () => {
    const recipes = pages.filter((page) => page.startsWith('docs/recipes/'));
    const silent = recipes.flatMap((page) =>
      [...read(page).matchAll(/(.*)\n```sh\n(.*)/g)]
        .filter(([, before = '']) => !/^<!-- (runs|not run): .+ -->$/.test(before))
        .map(([, , first]) => `${page}: ${first}`),
    );
    assert.deepEqual(silent, []);
  });

  it('names files and folders of the sources that exist', () => {
    const folders = 'bench|bin|child|docs|native|parent|protocol|scripts|test';
    const paths = new RegExp(`(?<![\\w./-])(?:${folders})/[\\w./-]*[\\w/]`, 'g');
    for (const page of ['docs/architecture.md', 'docs/glossary.md']) {
      const named = read(page).match(paths) ?? [];
      const missing = named.filter((path) => !path.includes('NAME') && !existsSync(join(repoRoot, path)));
      assert.deepEqual(missing, [], page);
    }
  });

  it('describes each option except those that are accepted for compatibility', () => {
    // Beside the pages that list them.
    const text = pages
      .filter((page) => !/(options|commands)\.md$/.test(page))
      .map(read)
      .join('\n');
    const missing = makeRunCommand(rootlessRun)
      .options.filter(
        ({ negate, description }) =>
          !negate && !/accepted for compatibility|print (this help|the version)/.test(description),
      )
      .filter(({ long, short }) => ![long, short].some((name) => name && text.includes(name)))
      .map(({ long }) => long);
    assert.deepEqual(missing, []);
  });
});
