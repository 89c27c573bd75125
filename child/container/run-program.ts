/** Runs programs of the host in the namespace, such as nft and mount. */
import { execa } from 'execa';
import { ProgramError } from './errors.js';

/** With the directories of administrators' programs, which ordinary users' PATH lacks. */
export const PROGRAM_PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

/** Runs a program to its end; resolves with its standard output. Throws ProgramError, with the last line that it wrote. */
export async function runProgram(program: string, args: readonly string[], input = ''): Promise<string> {
  const result = await execa(program, args, {
    input,
    reject: false,
    env: { PATH: PROGRAM_PATH },
    timeout: 60_000,
    stripFinalNewline: true,
  });
  if (result.exitCode === 0) return result.stdout;
  if (result.exitCode === undefined && result.code === 'ENOENT') {
    throw new ProgramError(
      `${program} is not installed; install it (Debian: apt-get install ${PACKAGES[program] ?? program})`,
    );
  }
  const reason = result.stderr.trim().split('\n').at(-1) || result.shortMessage?.split('\n')[0];
  throw new ProgramError(`${program} ${args.join(' ')} failed: ${reason}`);
}

const PACKAGES: Readonly<Record<string, string>> = { nft: 'nftables' };
