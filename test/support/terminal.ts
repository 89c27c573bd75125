import { type RunOptions, run } from './run.js';

const script = `
import fcntl, json, os, pty, signal, struct, sys, termios
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(command[0], command)
# What it showed until then tells more than that it took too long.
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(20)
out = b''
def read():
    global out
    try:
        chunk = os.read(fd, 4096)
    except OSError:
        chunk = b''
    out += chunk
    return chunk
for mark, keys in steps:
    while mark.encode() not in out and read():
        pass
    if isinstance(keys, str):
        os.write(fd, keys.encode())
    else:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', keys['rows'], keys['columns'], 0, 0))
while read():
    pass
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({'code': code, 'output': out.decode().replace('\\r', '')}))
`;

export interface TerminalResult {
  /** Exit code; negative for the number of a signal, -9 after 20 s. */
  code: number;
  /** What the terminal showed, with the keys that it echoed. */
  output: string;
}

/** What is done with a terminal: keys that are typed, or another size for it. */
export type TerminalInput = string | { columns: number; rows: number };

/** Runs a program in a terminal of its own, as its session's leader. Does the second of each pair when the first shows. */
export async function runInTerminal(
  command: readonly string[],
  steps: readonly (readonly [shown: string, input: TerminalInput])[] = [],
  options: RunOptions = {},
): Promise<TerminalResult> {
  const { stdout, stderr, code } = await run('python3', ['-c', script, JSON.stringify(steps), ...command], options);
  if (code !== 0) throw new Error(`the terminal failed:\n${stderr}`);
  return JSON.parse(stdout) as TerminalResult;
}
