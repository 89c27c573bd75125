import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorText, UserError } from '../../../parent/errors.js';
import { checkStackName, chooseStack, onlyStack } from '../../../parent/stack-discovery/choose.js';
import {
  decodeStackRecord,
  encodeStackRecord,
  isOver,
  isRunning,
  MAX_RECORD,
  type StackRecord,
} from '../../../protocol/state/stack-record.js';
import { readStackRecord } from '../../../protocol/state/stack-record-file.js';
import { identityOf } from '../../../protocol/system/process-identity.js';
import { tempDir } from '../../support/index.js';

const record: StackRecord = {
  process: identityOf(process.pid),
  name: 'web',
  stateDir: '/run/user/1000/rootless-net',
  socket: '/run/user/1000/rootless-net/api.sock',
  started: '2026-11-29T09:14:06.000Z',
  program: 'rootless-run',
  command: ['nginx', '-g', 'daemon off;'],
  net: 'pasta',
};

describe('what a lock reports about its stack', () => {
  it('comes out as it went in, with the beginning of a long command', () => {
    assert.deepEqual(decodeStackRecord(encodeStackRecord(record)), record);
    const long = encodeStackRecord({ ...record, command: Array.from({ length: 5000 }, () => 'word'.repeat(100)) });
    assert(long.length < MAX_RECORD);
    assert.deepEqual(decodeStackRecord(long)?.command?.[0], 'word'.repeat(100));
  });

  it('is nothing if it is not of that form', () => {
    const broken = [
      ...['', 'null', '[]', '{', '"x"', '{}', 'garbage\n{}'],
      ...[
        { process: undefined },
        { socket: 7 },
        { program: 'other' },
        { command: 'x' },
        { command: [1] },
        { name: {} },
      ].map((change) => JSON.stringify({ ...record, ...change })),
      ...[{ pid: -1 }, { pid: 1.5 }, { pid: '1' }, { startTime: 3 }].map((change) =>
        JSON.stringify({ ...record, process: { ...record.process, ...change } }),
      ),
    ];
    for (const text of broken) assert.equal(decodeStackRecord(text), undefined, text);
    const file = join(tempDir(), 'lock');
    writeFileSync(file, `${encodeStackRecord(record)}${' '.repeat(MAX_RECORD)}`);
    assert.equal(readStackRecord(file), undefined, 'too large');
    assert.equal(readStackRecord(tempDir()), undefined, 'a directory');
  });

  it('counts only while that very process runs', () => {
    assert.equal(isRunning(record), true);
    for (const change of [{ startTime: '1' }, { bootId: 'other' }, { pidNamespace: 'pid:[1]' }, { pid: 2 ** 22 + 1 }]) {
      const changed = { ...record, process: { ...record.process, ...change } };
      const elsewhere = change.pidNamespace !== undefined;
      assert.deepEqual([isRunning(changed), isOver(changed)], [false, !elsewhere], JSON.stringify(change));
    }
    assert.equal(isOver(record), false);
  });
});

function refuses(task: () => unknown, text: RegExp): void {
  assert.throws(task, (error) => {
    assert(error instanceof UserError);
    assert.match(errorText(error), text);
    return true;
  });
}

describe('which stack is chosen', () => {
  const { name: _, ...unnamed } = { ...record, stateDir: '/x/web', process: { ...record.process, pid: 77 } };

  it('is selected by name, process id or state directory, a name first', () => {
    const running = [unnamed, record];
    assert.equal(chooseStack(running, 'web'), record);
    assert.equal(chooseStack(running, '77'), unnamed);
    assert.equal(chooseStack(running, '/x/../x/web/'), unnamed);
    refuses(() => chooseStack(running, ''), /^no running stack ""; hint: running are \/x\/web, web /);
    refuses(() => chooseStack([], 'web'), /^no running stack "web": no stacks are running$/);
  });

  it('is unambiguous if there is only one', () => {
    assert.equal(onlyStack([], 'x'), undefined);
    assert.equal(onlyStack([record], 'x'), record);
    refuses(() => onlyStack([unnamed, record], 'use x'), /^2 stacks are running: \/x\/web, web; hint: use x$/);
    const many = Array.from({ length: 30 }, () => record);
    refuses(() => onlyStack(many, 'x'), /(web, ){9}web and 20 more; hint/);
  });

  it('are not accepted in every spelling', () => {
    for (const name of ['web', 'a', '0x', 'a.b-c_d', 'x'.repeat(64)]) assert.equal(checkStackName(name), name);
    for (const name of ['', '1', '-a', '.a', 'a/b', 'a\n', 'x'.repeat(65)]) {
      refuses(() => checkStackName(name), /^invalid --name "/);
    }
  });
});
