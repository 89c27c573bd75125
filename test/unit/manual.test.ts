import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rootlesskit, rootlessRun } from '../../bin/dialect.js';
import { manualPage } from '../../bin/manual.js';
import { rootlesskitManual, rootlessRunManual } from '../../bin/manual-texts.js';
import { makeCommand } from '../../bin/run-options.js';

describe('manual pages', () => {
  for (const [dialect, text] of [
    [rootlessRun, rootlessRunManual],
    [rootlesskit, rootlesskitManual],
  ] as const) {
    const command = makeCommand(dialect);
    const page = manualPage(command, text, '1.2.3');

    it(`${dialect.name}(1) has every option of --help, and nothing that roff would take for itself`, () => {
      const help = command.helpInformation();
      const options = help.match(/^ {2}(?:-\w, )?--[\w-]+/gm) ?? [];
      assert(options.length > 30);
      for (const option of options) {
        const long = option.replace(/^.*--/, '').replaceAll('-', '\\-');
        assert(page.includes(`\\-\\-${long}`), option);
      }
      for (const line of page.split('\n')) assert.match(line, /^([^.']|\.(TH|SH|SS|TP|PP|B|BR|RS|RE|nf|fi)\b|$)/);
    });

    it(`${dialect.name}(1) is shown by groff without a warning`, function () {
      const { error, stdout, stderr } = spawnSync('groff', ['-man', '-ww', '-Tutf8'], {
        input: page,
        encoding: 'utf8',
      });
      if (error) this.skip();
      assert.equal(stderr, '');
      assert.match(stdout, /--detach-netns/);
    });
  }
});
