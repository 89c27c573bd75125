import { finished, PassThrough, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** Characters of a line; more come as another one, since a program may never end its line. */
const LONGEST = 16 * 1024 * 1024;

/**
 * The lines of a stream from now on, whoever else reads it. It is read as fast as they are taken; when the loop is left, what comes
 * is dropped, so that the program does not wait. Ends with the stream, also where that is destroyed.
 */
export async function* linesOf(stream: Readable, longest = LONGEST): AsyncGenerator<string, void, undefined> {
  const copy = new PassThrough();
  const decoder = new StringDecoder();
  let line = '';
  finished(stream, { writable: false }, () => copy.end());
  stream.pipe(copy, { end: false });
  try {
    for await (const chunk of copy as AsyncIterable<Buffer>) {
      const [first = '', ...more] = decoder.write(chunk).split('\n');
      line += first;
      for (const next of more) {
        yield* pieces(line.replace(/\r$/, ''), longest);
        line = next;
      }
      for (; line.length > longest; line = line.slice(longest)) yield line.slice(0, longest);
    }
    line += decoder.end();
    if (line !== '') yield* pieces(line, longest);
  } finally {
    stream.unpipe(copy);
    copy.destroy();
    stream.resume();
  }
}

/** One also where it is empty. */
function* pieces(line: string, longest: number): Generator<string, void, undefined> {
  for (let at = 0; at === 0 || at < line.length; at += longest) yield line.slice(at, at + longest);
}
