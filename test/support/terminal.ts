import { type RunOptions, run } from './run.js';

const script = `
import json, os, pty, sys
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(command[0], command)
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
    os.write(fd, keys.encode())
while read():
    pass
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({'code': code, 'output': out.decode().replace('\\r', '')}))
`;

export interface TerminalResult {
  /** Exit code; negative for the number of a signal. */
  code: number;
  /** What the terminal showed, with the keys that it echoed. */
  output: string;
}

/** Runs a program in a terminal of its own, as its session's leader. Types the second of each pair when the first shows. */
export async function runInTerminal(
  command: readonly string[],
  steps: readonly (readonly [shown: string, typed: string])[] = [],
  options: RunOptions = {},
): Promise<TerminalResult> {
  const { stdout, stderr, code } = await run('python3', ['-c', script, JSON.stringify(steps), ...command], options);
  if (code !== 0) throw new Error(`the terminal failed:\n${stderr}`);
  return JSON.parse(stdout) as TerminalResult;
}
