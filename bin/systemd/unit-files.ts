/**
 * The unit files: those of the user's service manager, those that are prepared for the system's, and those that an
 * administrator has installed there.
 */
import { mkdir, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileErrorOf, reasonText, UserError } from '../../parent/errors.js';
import { configDirectory, configHome } from '../../parent/state/user-directories.js';

/** Directory of the units that administrators install. */
const SYSTEM_UNITS = '/etc/systemd/system';

export function userUnits(): string {
  return join(configHome(), 'systemd', 'user');
}

/** Directory of the units prepared for the system's manager, which an administrator copies. */
export function preparedUnits(): string {
  return join(configDirectory(), 'system');
}

/** Prefix of this user's units in the system's manager. */
function systemPrefix(): string {
  const { username, uid } = userInfo();
  // With an `@`, for example, it would name an instance of a template.
  return `rootless-net-${/^[\w.-]+$/.test(username) ? username : uid}`;
}

/** Name of this user's service in the system's manager. */
export function systemServiceName(): string {
  return `${systemPrefix()}.service`;
}

/** Name in the system's manager of a unit with this name in the user's manager. */
export function systemName(unit: string): string {
  return unit.replace(/^rootless-net-/, `${systemPrefix()}-`);
}

/** The units of rootless-net in the directory, the service first. */
export async function ownUnits(directory: string): Promise<string[]> {
  const names: string[] = await readdir(directory).catch(() => []);
  const isService = (name: string) => Number(name.endsWith('.service'));
  return names
    .filter((name) => /^rootless-net(-.*)?\.(service|socket)$/.test(name))
    .sort()
    .sort((a, b) => isService(b) - isService(a));
}

/** This user's units that are installed in the system's manager, the service first. */
export async function installedInSystem(): Promise<string[]> {
  const service = systemServiceName();
  const names = await ownUnits(SYSTEM_UNITS);
  const found = await Promise.all(
    names.map(async (name) => {
      if (name === service) return true;
      // The name of another user may begin with this user's.
      const text = await readFile(join(SYSTEM_UNITS, name), 'utf8').catch(() => '');
      return text.split('\n').includes(`Service=${service}`);
    }),
  );
  return names.filter((_, index) => found[index]);
}

/** Commands by which an administrator removes units from the system's manager. */
export function removalLines(units: readonly string[]): string[] {
  if (units.length === 0) return [];
  const files = units.map((unit) => `${SYSTEM_UNITS}/${unit}`);
  return [
    `sudo systemctl disable --now ${units.join(' ')}`,
    `sudo rm ${files.join(' ')} && sudo systemctl daemon-reload`,
  ];
}

/** Command by which the user removes units from the user's manager. */
export function userRemovalLine(directory: string, units: readonly string[]): string {
  const files = units.map((unit) => shellQuote(join(directory, unit)));
  return `systemctl --user disable --now ${units.join(' ')} && rm ${files.join(' ')} && systemctl --user daemon-reload`;
}

/** Commands by which an administrator installs the units prepared in the directory. */
export function installationLines(directory: string, units: readonly string[]): string[] {
  // Sockets first: systemd opens them only for a service that is not running.
  const order = [...units].sort((a, b) => Number(a.endsWith('.service')) - Number(b.endsWith('.service')));
  const files = units.map((unit) => shellQuote(join(directory, unit)));
  return [
    `sudo cp ${files.join(' ')} ${SYSTEM_UNITS}/`,
    `sudo systemctl daemon-reload && sudo systemctl enable --now ${order.join(' ')}`,
  ];
}

function shellQuote(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Throws UserError. */
export async function writeUnit(directory: string, name: string, text: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, name), text);
  } catch (error) {
    throw new UserError(
      `cannot write the unit ${join(directory, name)}: ${reasonText(fileErrorOf(error, directory) ?? error)}`,
    );
  }
}

/**
 * Removes units and the links that enable them, as `systemctl disable` does, but without a running manager as well. Dangling
 * links to units of rootless-net are also removed.
 */
export async function removeUnits(directory: string, units: readonly string[]): Promise<void> {
  for (const unit of units) await rm(join(directory, unit), { force: true });
  const entries: string[] = await readdir(directory).catch(() => []);
  for (const wants of entries.filter((name) => name.endsWith('.wants'))) {
    for (const unit of await ownUnits(join(directory, wants))) {
      const link = join(directory, wants, unit);
      // stat(2) follows the link.
      if (units.includes(unit) || !(await stat(link).catch(() => undefined))) await rm(link, { force: true });
    }
    // Kept if it has links to other units.
    await rmdir(join(directory, wants)).catch(() => {});
  }
}
