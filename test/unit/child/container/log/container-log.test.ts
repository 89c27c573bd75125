import assert from 'node:assert/strict';
import { appendFileSync, closeSync, openSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LogSelection, LogView } from '../../../../../child/container/log/view.js';
import { native } from '../../../../../native/index.js';
import {
  LogOptionError,
  LogTimeError,
  parseLogOptions,
  parseLogTime,
} from '../../../../../protocol/containers/log-options.js';
import { tempDir } from '../../../../support/index.js';

/** An entry of second `second`. */
const line = (second: number, text: string, tag: 'F' | 'P' = 'F', stream = 'stdout') =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000000Z ${stream} ${tag} ${text}\n`;

/** All that a view has now, by stream letter, each piece on its own. */
async function readAll(view: LogView): Promise<string> {
  let text = '';
  for (let pieces = await view.next(); pieces.length > 0; pieces = await view.next()) {
    text += pieces.map(({ stream, data }) => `${stream[3]}:${data.toString()}`).join('');
  }
  return text;
}

/** What is shown of a log that has these files, the newest first. */
async function shown(files: readonly string[], selection: LogSelection = {}): Promise<string> {
  const path = join(tempDir(), 'log');
  for (const [index, text] of files.entries()) writeFileSync(index === 0 ? path : `${path}.${index}`, text);
  await using view = await LogView.open(path, Math.max(files.length, 3), selection);
  return (await readAll(view)) + view.last().map(({ data }) => `torn:${data}`);
}

describe('a container log', () => {
  it('is read across its files, in their order', async () => {
    assert.equal(await shown([line(3, 'c'), line(2, 'b'), line(1, 'a')]), 'o:a\no:b\no:c\n');
    // A rotation that was cut short leaves out a number.
    assert.equal(await shown([]), '');
  });

  it('is read even if something in it is not an entry, or the last one is truncated', async () => {
    assert.equal(await shown([`${line(1, 'a')}nonsense\n\n2026-01-01\n${line(2, 'b')}`]), 'o:a\nb\n');
    assert.equal(await shown([`${line(1, 'a')}${line(2, 'cut').slice(0, -2)}`]), 'o:a\ntorn:cu');
    assert.equal(await shown([`${line(1, 'a')}${line(2, 'cut').slice(0, 20)}`]), 'o:a\n');
    assert.equal(await shown([line(3, 'c'), line(2, 'cut').slice(0, -1)]), 'o:cuto:c\n');
  });

  it('has lines that were written in pieces, beside those of the other stream', async () => {
    const log = line(1, 'a', 'P') + line(2, 'x', 'F', 'stderr') + line(3, 'b') + line(4, 'rest', 'P');
    assert.equal(await shown([log]), 'o:ae:x\no:b\nrest');
    const time = (second: number) => `2026-01-01T00:00:0${second}.000000000Z`;
    assert.equal(await shown([log], { timestamps: true }), `o:${time(1)} ae:${time(2)} x\no:b\n${time(4)} rest`);
    assert.equal(await shown([log], { tail: 1 }), 'o:rest');
    assert.equal(await shown([log], { tail: 2 }), 'o:ab\nrest');
    assert.equal(await shown([log], { tail: 3 }), 'o:ae:x\no:b\nrest');
  });

  for (const count of [0, 1, 2, 5, 999, 1000, 1001]) {
    it(`shows its last ${count} lines, also from several files`, async () => {
      const texts = Array.from({ length: 1000 }, (_, index) => `${index} ${'x'.repeat(index % 300)}`);
      const log = (from: number, to: number) =>
        texts
          .slice(from, to)
          .map((text) => line(1, text))
          .join('');
      const expected = count === 0 ? '' : texts.slice(-count).map((text) => `${text}\n`);
      const all = await shown([log(996, 1000), log(300, 996), log(0, 300)], { tail: count });
      assert.equal(all.replaceAll('o:', ''), [...expected].join(''));
    });
  }

  it('is followed when its files are rotated, and marks where the follower was too slow', async () => {
    const path = join(tempDir(), 'log');
    const rotate = () => {
      for (const [from, to] of [
        [`${path}.1`, `${path}.2`],
        [path, `${path}.1`],
      ] as const) {
        rmSync(to, { force: true });
        try {
          renameSync(from, to);
        } catch {
          // It is not there yet.
        }
      }
    };
    await using view = await LogView.openAtEnd(path, 3);
    assert.equal(await readAll(view), '');
    writeFileSync(path, line(1, 'a'));
    assert.equal(await readAll(view), 'o:a\n');
    appendFileSync(path, line(2, 'b') + line(2, 'half').slice(0, -3));
    rotate();
    assert.equal(await readAll(view), 'o:b\n');
    writeFileSync(path, line(3, 'c'));
    rotate();
    writeFileSync(path, line(4, 'd'));
    assert.equal((await readAll(view)).replace(/^o:ha/, ''), 'o:c\no:d\n');
    for (const text of ['e', 'f', 'g', 'h']) {
      rotate();
      writeFileSync(path, line(5, text));
    }
    assert.match(await readAll(view), /^e:rootless-net: some output is missing here: .*\no:f\no:g\no:h\n$/);
  });

  for (const selection of [{}, { tail: 2 }]) {
    it(`ends where it ended when it was asked for, with ${JSON.stringify(selection)}`, async () => {
      const path = join(tempDir(), 'log');
      writeFileSync(`${path}.1`, line(1, 'a'));
      writeFileSync(path, line(2, 'b'));
      await using view = await LogView.open(path, 3, selection);
      appendFileSync(path, line(3, 'c'));
      renameSync(`${path}.1`, `${path}.2`);
      renameSync(path, `${path}.1`);
      writeFileSync(path, line(4, 'd'));
      assert.equal(await readAll(view), 'o:a\no:b\n');
    });
  }

  it('shows which of its files a follower still reads, and no other', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(`${path}.1`, line(1, 'a'));
    writeFileSync(path, line(2, 'b'));
    const isRead = (file: string) => {
      const fd = openSync(file, 'r');
      const free = native().flock(fd, true);
      closeSync(fd);
      return !free;
    };
    const read = () => [`${path}.1`, path].map(isRead);
    {
      await using view = await LogView.open(path, 2);
      await view.next();
      assert.deepEqual(read(), [false, false]);
    }
    {
      await using view = await LogView.open(path, 2, { follow: true });
      await view.next();
      assert.deepEqual(read(), [true, false]);
      assert.equal(await readAll(view), 'o:b\n');
      assert.deepEqual(read(), [false, true]);
    }
    assert.deepEqual(read(), [false, false]);
  });

  it('is followed also where an entry that did not fit on the disk is removed', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(path, line(1, 'a') + line(2, 'half').slice(0, -3));
    await using view = await LogView.open(path, 2, { follow: true });
    assert.equal(await readAll(view), 'o:a\n');
    truncateSync(path, line(1, 'a').length);
    assert.equal(await readAll(view), '');
    appendFileSync(path, line(3, 'dropped', 'F', 'stderr') + line(4, 'b'));
    assert.equal(await readAll(view), 'e:dropped\no:b\n');
  });

  it('is there to the end if it is held while it is removed', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(`${path}.1`, line(1, 'a'));
    writeFileSync(path, line(2, 'b'));
    await using view = await LogView.open(path, 2);
    await view.hold();
    rmSync(path);
    rmSync(`${path}.1`);
    assert.equal(await readAll(view), 'o:a\no:b\n');
  });
});

describe('the options of a container log', () => {
  it('are sizes and counts', () => {
    const parse = (...texts: string[]) => parseLogOptions('k8s-file', texts);
    assert.deepEqual(parse(), { maxSize: 10 * 1024 * 1024, maxFiles: 3 });
    for (const [text, size] of [
      ['1', 1],
      ['10k', 10_000],
      ['1.5M', 1_500_000],
      ['2gb', 2e9],
    ] as const) {
      assert.equal(parse(`max-size=${text}`).maxSize, size);
    }
    assert.equal(parse('max-file=1', 'max-file=7').maxFiles, 7);
    for (const text of ['', 'max-size', 'max-size=', 'max-size=0', 'max-size=-1', 'max-size=1x', 'max-size=0.1']) {
      assert.throws(() => parse(text), LogOptionError, text);
    }
    for (const text of ['max-file=', 'max-file=0', 'max-file=1.5', 'max-file=1001', 'max-files=1']) {
      assert.throws(() => parse(text), LogOptionError, text);
    }
    assert.throws(() => parseLogOptions('json-file', []), LogOptionError);
  });

  it('are times, as docker parses them', () => {
    const now = Date.parse('2026-06-01T12:00:00.500Z');
    const local = (text: string) => `${new Date(text).toJSON().slice(0, 19)}.000000000Z`;
    for (const [text, expected] of [
      ['2026-06-01T10:00:00Z', '2026-06-01T10:00:00.000000000Z'],
      ['2026-06-01T10:00:00.123456789Z', '2026-06-01T10:00:00.123456789Z'],
      ['2026-06-01T10:00:00.5+02:00', '2026-06-01T08:00:00.500000000Z'],
      ['2026-06-01T10:00:00', local('2026-06-01T10:00:00')],
      ['2026-06-01T10:00', local('2026-06-01T10:00:00')],
      ['2026-06-01', local('2026-06-01T00:00:00')],
      ['0', '1970-01-01T00:00:00.000000000Z'],
      ['1136073600.000000001', '2006-01-01T00:00:00.000000001Z'],
      ['10m', '2026-06-01T11:50:00.500000000Z'],
      ['1h30m', '2026-06-01T10:30:00.500000000Z'],
      ['1.5s', '2026-06-01T11:59:59.000000000Z'],
      ['1ns', '2026-06-01T12:00:00.499999999Z'],
      ['99999999h', '1970-01-01T00:00:00.000000000Z'],
    ] as const) {
      assert.equal(parseLogTime(text, now), expected, text);
    }
    for (const text of ['', '-1', '10x', 'm', '2026-1-1', '2026-02-30', '2026-01-01T25:00', 'now', '1 h']) {
      assert.throws(() => parseLogTime(text, now), LogTimeError, text);
    }
  });
});
