import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { makeRootlessctlCommand } from '../../../bin/ctl/command.js';
import { manualPage } from '../../../bin/manual/page.js';
import {
  rootlessctlManual,
  rootlesskitManual,
  rootlessNetManual,
  rootlessRunManual,
} from '../../../bin/manual/texts.js';
import { makeRootlessNetCommand } from '../../../bin/net/command.js';
import { rootlesskit, rootlessRun } from '../../../bin/run/dialect.js';
import { makeRunCommand } from '../../../bin/run/options/command.js';

const hasGroff = spawnSync('groff', ['--version']).error === undefined;

describe('manual pages', () => {
  for (const [command, text] of [
    [makeRunCommand(rootlessRun), rootlessRunManual],
    [makeRunCommand(rootlesskit), rootlesskitManual],
    [makeRootlessctlCommand(), rootlessctlManual],
    [makeRootlessNetCommand(), rootlessNetManual],
  ] as const) {
    const page = manualPage(command, text, '1.2.3');

    it(`${command.name()}(1) has every option of --help, and nothing that roff would take for itself`, () => {
      const help = command.helpInformation();
      const options = help.match(/^ {2}(?:-\w, )?--[\w-]+/gm) ?? [];
      assert(options.length > 2);
      for (const option of options) {
        const long = option.replace(/^.*--/, '').replaceAll('-', '\\-');
        assert(page.includes(`\\-\\-${long}`), option);
      }
      for (const line of page.split('\n')) assert.match(line, /^([^.']|\.(TH|SH|SS|TP|PP|B|BR|RS|RE|nf|fi)\b|$)/);
    });

    if (hasGroff) {
      it(`${command.name()}(1) is shown by groff without a warning`, () => {
        const { stdout, stderr } = spawnSync('groff', ['-man', '-ww', '-Tutf8'], { input: page, encoding: 'utf8' });
        assert.equal(stderr, '');
        // It prints letters twice for bold.
        assert.match(stdout.split(/.[\b]/).join(''), /--version/);
      });
    }
  }
});
