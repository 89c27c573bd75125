import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { linesOf } from '../../../../parent/library/programs/lines.js';

describe('lines of a program', () => {
  async function linesFrom(chunks: (string | Buffer)[], longest?: number): Promise<string[]> {
    const stream = new PassThrough();
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
    const lines: string[] = [];
    for await (const line of linesOf(stream, longest)) lines.push(line);
    return lines;
  }

  it('are those of the text, however it comes', async () => {
    assert.deepEqual(await linesFrom(['a\nb', 'c\r', '\n\n', 'end']), ['a', 'bc', '', 'end']);
    const bytes = [...Buffer.from('ä\n€\n')].map((byte) => Buffer.of(byte));
    assert.deepEqual(await linesFrom(bytes), ['ä', '€']);
    assert.deepEqual(await linesFrom([]), []);
  });

  it('come in pieces where they are longer than fits', async () => {
    assert.deepEqual(await linesFrom(['abc', 'defg', 'h\nij'], 3), ['abc', 'def', 'gh', 'ij']);
  });

  it('end where the stream is destroyed', async () => {
    const stream = new PassThrough();
    stream.write('a\nb');
    const lines: string[] = [];
    for await (const line of linesOf(stream)) {
      lines.push(line);
      stream.destroy();
    }
    assert.deepEqual(lines, ['a', 'b']);
  });

  it('are left while the stream goes on, for all who read it', async () => {
    const stream = new PassThrough();
    const [first, second] = [linesOf(stream), linesOf(stream)];
    const [one, two] = [first.next(), second.next()];
    stream.write('x\n'.repeat(200_000));
    assert.deepEqual(
      [await one, await two].map(({ value }) => value),
      ['x', 'x'],
    );
    await first.return();
    await second.return();
    await new Promise((resolve) => {
      stream.end(resolve);
    });
    assert.equal(stream.readableLength, 0);
  });
});
