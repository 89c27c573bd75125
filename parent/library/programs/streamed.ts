/** Programs behind a stream of the API, such as those of containers: what crosses it is copied to and from Node's streams. */
import { constants } from 'node:os';
import { PassThrough, type Readable, Writable } from 'node:stream';
import type { ContainerStream } from '../../client/container-stream.js';
import type { ProgramSource } from '../../namespaces/piped-program.js';
import { abortable } from '../abort.js';

export interface StreamedProgram {
  /** Starts the program. */
  open: () => Promise<ContainerStream>;
  /** Whether it reads its standard input. */
  stdin: boolean;
  /** Instead of a message on the stream. */
  kill?: (signal: number) => void;
}

export function streamedProgram({ open, stdin, kill }: StreamedProgram): ProgramSource {
  const giveUp = new AbortController();
  const opening = abortable(giveUp.signal, open, (stream) => stream.close());
  const outputs = { stdout: new PassThrough(), stderr: new PassThrough() };
  let isRunning = false;
  const started = opening.then(async (stream) => {
    copyOutput(stream, outputs);
    await abortable(giveUp.signal, () => stream.started);
    isRunning = true;
    return undefined;
  });
  const send = (signal: number) => void started.then(async () => sendSignal(await opening, signal)).catch(() => {});
  started.catch(() => void opening.then((stream) => stream.close()).catch(() => {}));
  const end = () => {
    outputs.stdout.end();
    outputs.stderr.end();
  };
  const ended = opening.then(({ exit }) => exit).then((code) => ({ code }));
  ended.then(end, end);
  return {
    stdin: stdin ? inputTo(opening) : undefined,
    ...(outputs satisfies Record<'stdout' | 'stderr', Readable>),
    started,
    ended,
    kill: (signal) => {
      (kill ?? send)(signal);
      // The stack may hang; one that does not ends the program whose stream is closed.
      if (signal === constants.signals.SIGKILL && !isRunning) giveUp.abort();
    },
  };
}

function sendSignal(stream: ContainerStream, signal: number): void {
  stream.control({ type: 'signal', signal: String(signal) });
}

/** Nothing is read while one of the outputs is full. */
function copyOutput(stream: ContainerStream, outputs: Record<'stdout' | 'stderr', PassThrough>): void {
  const full = new Set<PassThrough>();
  stream.listen((name, data) => {
    const output = outputs[name];
    if (output.writableEnded || output.destroyed || output.write(data) || full.has(output)) return;
    full.add(output);
    stream.pause();
    const go = () => {
      output.off('drain', go).off('close', go);
      if (full.delete(output) && full.size === 0) stream.resume();
    };
    output.once('drain', go).once('close', go);
  });
}

function inputTo(opening: Promise<ContainerStream>): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      opening.then((stream) => stream.write(chunk)).then(() => done(), done);
    },
    final(done) {
      opening.then((stream) => stream.control({ type: 'stdin-end' })).then(() => done(), done);
    },
  });
}
