import assert from 'node:assert/strict';
import { makeRootlessNetCommand, parseRootlessNet } from '../../../../bin/net/command.js';
import { withoutGroup } from '../../../../bin/net/commands/container-group.js';
import { FOREIGN_COMMANDS } from '../../../../bin/net/commands/foreign-commands.js';
import { errorText } from '../../../../parent/errors.js';

/** All that `docker --help` of 20.10 to 29 lists. */
const DOCKER =
  'attach bake build builder buildx checkpoint commit compose config container context cp create diff events exec export history image images import info inspect kill load login logout logs manifest network node pause plugin port ps pull push rename restart rm rmi run save scout search secret service stack start stats stop swarm system tag top trust unpause update version volume wait';

const program = makeRootlessNetCommand();

describe("docker's commands", () => {
  it('are all supported, or known with an alternative', () => {
    const own = program.commands.flatMap((command) => [command.name(), ...command.aliases()]);
    const missing = DOCKER.split(' ').filter((name) => !own.includes(name) && !FOREIGN_COMMANDS.has(name));
    assert.deepEqual(missing, []);
    assert.deepEqual(
      own.filter((name) => FOREIGN_COMMANDS.has(name)),
      [],
    );
  });

  for (const [words, message] of [
    ['pause web', 'the command pause is not supported; hint: rootless-net kill -s STOP stops its first process'],
    ['build -t x .', /^the command build is not supported; hint: containers run from directories/],
    ['--keep images', /^the command images is not supported; hint: /],
    ['container pause web', /^the command pause is not supported; hint: /],
    ['frobnicate', /unknown command 'frobnicate'/],
    ['pss', /unknown command 'pss'/],
  ] as const) {
    it(`answer ${words}`, async () => {
      await assert.rejects(parseRootlessNet(program, words.split(' ')), (error: unknown) => {
        const text = errorText(error);
        if (typeof message === 'string') assert.equal(text, message);
        else assert.match(text, message);
        return true;
      });
    });
  }

  for (const [words, expected] of [
    ['container ls -a', 'ps -a'],
    ['container list', 'ps'],
    ['container run --rm x', 'run --rm x'],
    ['--stack a container inspect container', '--stack a inspect container'],
    ['--keep --state-dir=/x container rm web', '--keep --state-dir=/x rm web'],
    ['container prune -f', 'container prune -f'],
    ['container --help', 'container --help'],
    ['container', 'container'],
    ['inspect container ls', 'inspect container ls'],
    ['run --name x -- container ls', 'run --name x -- container ls'],
  ] as const) {
    it(`take ${words} for ${expected}`, () => {
      assert.equal(withoutGroup(program, words.split(' ')).join(' '), expected);
    });
  }
});
