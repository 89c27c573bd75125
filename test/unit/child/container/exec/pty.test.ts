import assert from 'node:assert/strict';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { Pty } from '../../../../../child/container/exec/pty.js';

const size = { columns: 101, rows: 31 };
const shell = (script: string) => Pty.open(['sh', '-c', script], size);

describe('a program in a pseudoterminal', () => {
  /** Waits until the program has written `word`. */
  async function until(pty: Pty, word: string): Promise<void> {
    let seen = '';
    while (!seen.includes(word)) seen += String((await once(pty.output, 'data'))[0]);
  }

  it('has it as its standard streams and as its controlling terminal, in that size', async () => {
    // /dev/tty is the controlling terminal; no other.
    const pty = shell('test -t 0 && test -t 1 && test -t 2 && stty size </dev/tty; tty; exit 7');
    const [output, code] = await Promise.all([text(pty.output), pty.ended]);
    assert.match(output, /^31 101\r\n\/dev\/pts\/\d+\r\n$/);
    assert.equal(code, 7);
  });

  it('gets a signal when the size changes, and another when the line is lost', async () => {
    const pty = shell(
      'trap "stty size" WINCH; trap "echo lost; exit 3" HUP; echo ready; while :; do sleep 0.02; done 2>/dev/null',
    );
    await until(pty, 'ready');
    pty.resize({ columns: 44, rows: 22 });
    await until(pty, '22 44');
    pty.hangUp();
    assert.equal(await pty.ended, 3);
    // It has ended: neither is an error.
    pty.resize(size);
    pty.hangUp();
    await pty.write(Buffer.from('more'));
  });

  it('passes on bytes as they are', async () => {
    const pty = shell('stty raw -echo; echo ready; head -c 4 | od -An -tx1; printf "\\377\\000\\303"');
    await until(pty, 'ready');
    const output: Buffer[] = [];
    pty.output.on('data', (data: Buffer) => output.push(data));
    await pty.write(Buffer.from([0xff, 0x00, 0xc3, 0x28]));
    await pty.ended;
    const all = Buffer.concat(output);
    assert.match(all.toString('latin1'), /ff 00 c3 28/);
    assert.equal(all.subarray(-3).toString('hex'), 'ff00c3');
  });

  it('that does not read its terminal holds up nobody', async () => {
    const pty = shell('stty raw -echo; echo ready; read -r line; wc -c');
    await until(pty, 'ready');
    let written = false;
    const writing = pty.write(Buffer.alloc(200_000, 'x')).then(() => {
      written = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(written, false);
    pty.hangUp();
    assert.equal(await pty.ended, 128 + 1);
    await writing;
  });

  it('is read to its end, also by a slow reader', async () => {
    const pty = shell('i=0; while [ $i -lt 20000 ]; do echo "$i"; i=$((i+1)); done');
    let length = 0;
    let last = '';
    for await (const data of pty.output) {
      length += (data as Buffer).length;
      last = (last + String(data)).slice(-20);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(length, Array.from({ length: 20_000 }, (_, i) => `${i}\r\n`).join('').length);
    assert.match(last, /19999\r\n$/);
    assert.equal(await pty.ended, 0);
  });

  it('ends although another process has the terminal', async () => {
    const pty = shell('trap "" HUP; sleep 30 & echo $!');
    const output = text(pty.output);
    assert.equal(await pty.ended, 0);
    process.kill(Number.parseInt(await output, 10));
  });

  it('reports one that cannot be executed as a shell does', async () => {
    const pty = Pty.open(['/nonexistent'], size);
    const [output, code] = await Promise.all([text(pty.output), pty.ended]);
    assert.equal(output, 'cannot execute /nonexistent: No such file or directory\r\n');
    assert.equal(code, 127);
  });
});
