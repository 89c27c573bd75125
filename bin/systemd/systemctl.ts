/** Calls systemctl(1) for the service manager of the user and that of the system. */
import { UserError } from '../../parent/errors.js';
import { SERVICE } from '../../parent/systemd/units.js';

async function call(args: readonly string[]) {
  const { execa } = await import('execa');
  const result = await execa('systemctl', args, { reject: false, all: true, stdin: 'ignore' });
  return {
    ok: result.exitCode === 0,
    stdout: result.stdout,
    text: result.all?.trim().split('\n')[0] || result.shortMessage,
  };
}

/** Throws UserError if the user's service manager is not running. */
export async function checkUserManager(): Promise<void> {
  const { ok, text } = await call(['--user', 'show', '--property=Version']);
  if (ok) return;
  throw new UserError(`cannot reach the service manager of this user: ${text}`, {
    hint: 'log in, or keep it running without a login: loginctl enable-linger',
  });
}

/** The output of `systemctl --user`. Throws UserError. */
export async function systemctl(...args: string[]): Promise<string> {
  const { ok, stdout, text } = await call(['--user', ...args]);
  if (ok) return stdout;
  throw new UserError(`systemctl --user ${args.join(' ')} failed: ${text}`);
}

/** Restarts the service. Throws UserError with its status if it does not become ready. */
export async function restartService(): Promise<void> {
  const { ok, text } = await call(['--user', 'restart', SERVICE]);
  if (ok) return;
  const { StatusText: reported } = await properties(SERVICE, ['StatusText'], '--user');
  throw new UserError(`cannot start ${SERVICE}: ${reported || text}`, { hint: `journalctl --user -u ${SERVICE}` });
}

/** Properties of a unit; "" for those that are not known. */
export async function properties<Name extends string>(
  unit: string,
  names: readonly Name[],
  manager: '--user' | '--system',
): Promise<Record<Name, string>> {
  const { stdout } = await call([manager, 'show', unit, `--property=${names.join(',')}`]);
  const value = (name: Name) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout ?? '')?.[1] ?? '';
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, string>;
}
