// Fenced blocks of the documentation that are marked to be run: `<!-- runs: HOW -->` in the line above. HOW is
//   script      as a script that has to succeed, in an empty home directory;
//   server      its first command in the background; the rest, tried again until it succeeds; then the first is ended;
//   stack       as a script in the namespaces of rootless-run;
//   containers  as a script beside a stack that runs containers, with a root file system in ./rootfs;
//   builtin-containers   the same, with the network driver builtin;
//   docker      as server, with Docker's own script in PATH.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from './paths.js';

/** The pages that are for readers, relative to the checkout. */
export const docPages: readonly string[] = [
  'README.md',
  ...readdirSync(join(repoRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

const kindsOfBlocks = ['script', 'server', 'stack', 'containers', 'builtin-containers', 'docker'] as const;
export type KindOfBlock = (typeof kindsOfBlocks)[number];

export interface DocBlock {
  page: string;
  /** Of its first command, from 1. */
  line: number;
  kind: KindOfBlock;
  /** Commands, a line each; one that continues after a backslash is one. */
  commands: string[];
}

/** The marked blocks of a page, whose path is relative to the repository. Throws where a mark is not one of those above. */
export function docBlocks(page: string): DocBlock[] {
  const text = readFileSync(join(repoRoot, page), 'utf8');
  const marks = [...text.matchAll(/^<!-- runs: (.*) -->$/gm)];
  return marks.map((mark) => {
    const [, word = ''] = mark;
    const kind = kindsOfBlocks.find((name) => name === word);
    const after = text.slice(mark.index + mark[0].length);
    const [fence, body] = /^\n```sh\n([\s\S]*?)\n```$/m.exec(after) ?? [];
    if (kind === undefined || fence === undefined || !after.startsWith(fence)) {
      throw new Error(
        `${page}: ${mark[0]} has to name one of ${kindsOfBlocks.join(', ')}, and a block of sh follows it`,
      );
    }
    const line = text.slice(0, mark.index).split('\n').length + 2;
    return { page, line, kind, commands: (body ?? '').split(/(?<!\\)\n/) };
  });
}
