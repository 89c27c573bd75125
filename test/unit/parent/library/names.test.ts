import { compareGenerated } from '../../docs/generated.js';
import { declarationsOf, exportsOf, summaryOf } from './declarations.js';

describe('the documentation', () => {
  it('lists all names that the library exports', () => {
    const rows = [...exportsOf(declarationsOf('parent/index.js'))]
      .sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1))
      .map(([name, declaration]) => {
        const { kind, summary } = summaryOf(declaration);
        return `| \`${name}\` | ${kind} | ${summary.replaceAll('|', '\\|')} |`;
      });
    const table = ['| name | | |', '|---|---|---|', ...rows].join('\n');
    compareGenerated('docs/guide/library.md', 'names', table);
  });
});
