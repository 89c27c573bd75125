import assert from 'node:assert/strict';
import { Command } from 'commander';
import { ignoreEmptyOptions } from '../../../../bin/rootlesskit-compat/empty-options.js';
import { rootlesskit, rootlessRun } from '../../../../bin/run/dialect.js';
import { makeRunCommand } from '../../../../bin/run/options/command.js';
import { parseCommandLine } from '../../../../bin/run/options/parse.js';
import { configHome, defaultStateDir } from '../../../../parent/state/user-directories.js';

describe('an option with an empty value, as from a variable that is not set', () => {
  const driver = [['--net'], ['--port-driver']] as const;
  for (const [dialect, refused] of [
    [
      rootlessRun,
      [...driver, ['--publish', '-p'], ['--allow'], ['--deny'], ['--egress-file'], ['--learn'], ['--limit']],
    ],
    // As RootlessKit does.
    [rootlesskit, driver],
  ] as const) {
    const names = makeRunCommand(dialect)
      .options.filter(({ negate, hidden }) => !negate && !hidden)
      .flatMap(({ long }) => long ?? [])
      .filter((name) => !['--version', ...refused.map(([name]) => name)].includes(name));

    it(`is as none under the name ${dialect.name}: ${names.join(' ')}`, () => {
      const plain = parseCommandLine(['true'], dialect);
      for (const name of names) {
        assert.deepEqual(parseCommandLine([`${name}=`, 'true'], dialect), plain, name);
        if (makeRunCommand(dialect).options.find(({ long }) => long === name)?.required) {
          assert.deepEqual(parseCommandLine([name, '', 'true'], dialect), plain, name);
        }
      }
    });

    it(`is refused for ${refused.join(', ')} under the name ${dialect.name}`, () => {
      for (const name of refused.flat()) {
        assert.throws(() => parseCommandLine([`${name}=`, 'true'], dialect), name);
        assert.throws(() => parseCommandLine([name, '', 'true'], dialect), name);
      }
    });
  }

  it('keeps a value that was given before', () => {
    assert.equal(parseCommandLine(['--mtu=1500', '--mtu=', 'true'], rootlessRun).options.network.mtu, 1500);
  });

  it('is as none for commands below, and leaves arguments alone', () => {
    const seen: unknown[] = [];
    const program = new Command().option('--state-dir <path>').exitOverride();
    program
      .command('run')
      .option('--name <name>', '', 'default')
      .option('--list <item>', '', (value: string, before: string[]) => [...before, value], [])
      .argument('[word...]')
      .action((words: string[], options: object) => {
        seen.push(words, options, program.opts());
      });
    ignoreEmptyOptions(program);
    program.parse(['--state-dir=', 'run', '--name', '', '--list=', '--list=a', '', 'b'], { from: 'user' });
    assert.deepEqual(seen, [['', 'b'], { name: 'default', list: ['a'] }, {}]);
  });
});

describe('a directory of the environment that is empty or not absolute', () => {
  it('counts as not set', () => {
    const before = { ...process.env };
    try {
      process.env.HOME = '/home/of-test';
      for (const value of ['', 'relative']) {
        process.env.XDG_CONFIG_HOME = value;
        process.env.XDG_RUNTIME_DIR = value;
        assert.equal(configHome(), '/home/of-test/.config');
        assert.throws(() => defaultStateDir(), /XDG_RUNTIME_DIR is not set to an absolute path/);
      }
      process.env.HOME = '';
      assert.match(configHome(), /^\/.*\/\.config$/, 'not in the working directory');
    } finally {
      process.env = before;
    }
  });
});
