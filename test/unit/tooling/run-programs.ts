/** Which programs tests run, as far as their sources show. The PATH of the tests catches the others when they run. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Functions whose first argument, or the first word of it, is a program; methods come with their dot. */
const CALLS = ['run', 'start', 'must', 'spawn', 'spawnSync', 'execFile', 'execFileSync', 'execa', 'succeed', 'command'];
const METHODS = ['enter', 'inside', 'user', 'root'];

/** Words at the place of programs that are not programs: commands of this project, of docker and npm, names of containers, applets of busybox in containers. */
const OTHERS = new Set(
  'a add-ports ask attach b build connect create exec gc httpd import info inspect list-ports logs nc network odd pack port ports pull rename restart rm run serve start stop systemd talk team v4 wait wget'.split(
    ' ',
  ),
);

const NAME = "'([a-z][\\w.+-]*)'";

/** Programs that a TypeScript source starts, and the shell scripts in it. */
export function programsInSource(source: string): string[] {
  const text = source.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const found = [
    ...matches(text, `(?<![.\\w])(?:${CALLS.join('|')})\\(\\s*(?:\\[\\s*)?${NAME}`),
    ...matches(text, `\\.(?:${METHODS.join('|')})\\(\\s*(?:\\[\\s*)?${NAME}`),
    // Words of a command: a name, and an option or more words.
    ...matches(text, `\\[\\s*(?:\\.\\.\\.\\[)?${NAME},\\s*(?:'-|\\.\\.\\.)`),
  ];
  const scripts = [
    ...matches(text, `'(?:ba)?sh',\\s*(?:\\[\\s*)?'-\\w*c',\\s*'((?:[^'\\\\]|\\\\.)*)'`),
    ...matches(text, "'(?:ba)?sh',\\s*(?:\\[\\s*)?'-\\w*c',\\s*`([^`]*)`"),
  ];
  return [...found, ...scripts.flatMap((script) => programsInScript(script))].filter((name) => !OTHERS.has(name));
}

function matches(text: string, pattern: string): string[] {
  return [...text.matchAll(new RegExp(pattern, 'g'))].map(([, word = '']) => word);
}

const WORDS_OF_SHELL = new Set(
  'alias break case cd command continue declare do done echo elif else esac eval exec exit export false fi for function if in kill let local printf pwd read return set shift sleep source test then time times trap true type ulimit umask unset until wait while'.split(
    ' ',
  ),
);

/** Programs that stand where a shell looks for a command; its own words and functions are none. */
export function programsInScript(script: string, functions: readonly string[] = []): string[] {
  const own = new Set([...functions, ...matches(script, '(?:^|\\n)\\s*(\\w+)\\(\\)'), ...WORDS_OF_SHELL]);
  const plain = script
    .replaceAll(/^\s*#.*$/gm, '')
    .replaceAll('\\\n', ' ')
    // Sums, programs in other languages, and what a TypeScript source puts in.
    .replaceAll(/\(\([^()]*\)\)/g, '')
    .replaceAll(/(?<!\bsh -\w*c )'[^']*'/g, ' ')
    .replaceAll(/\$\{[^}]*\}/g, '');
  return plain
    .split(/\n|;|&&|\|\|?|&|\$?\(|`|[{}]/)
    .map(commandOf)
    .filter((word) => /^[a-z][\w.+-]*$/.test(word) && !own.has(word));
}

/** The program of a simple command: behind words of the shell, assignments, and commands that run others. */
function commandOf(simple: string): string {
  const words = simple.trim().split(/\s+/);
  const before = /^(if|while|until|then|do|else|elif|!|exec|eventually|time|\w+=\S*)$/;
  return words.find((word) => !before.test(word)) ?? '';
}

/** Files below a directory, by the end of their names. */
export function filesBelow(directory: string, ending: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(directory, name));
}

/** Programs that the shell scripts in a directory run; they share functions. */
export function programsInScripts(directory: string): string[] {
  const scripts = filesBelow(directory, '.sh').map((file) => readFileSync(file, 'utf8'));
  const functions = scripts.flatMap((script) => matches(script, '(?:^|\\n)\\s*(\\w+)\\(\\)'));
  return scripts.flatMap((script) => programsInScript(script, functions));
}
