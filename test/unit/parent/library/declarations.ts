/** Reads what the package exports from the compiler's declarations (dist/…/*.d.ts). */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repoRoot } from '../../../support/paths.js';

export interface Declaration {
  /** Of the module, absolute. */
  file: string;
  name: string;
}

interface Module {
  text: string;
  /** By local name. */
  imports: Map<string, Declaration>;
  exports: Map<string, Declaration>;
  /** Text of what is declared, by name. */
  declared: Map<string, string>;
}

const modules = new Map<string, Module>();

/** What a module exports, by name; resolved to where it is declared. Names of other packages are left out. */
export function exportsOf(file: string): Map<string, Declaration> {
  return load(file).exports;
}

/** The text of a declaration, with its comment. */
export function declarationText({ file, name }: Declaration): string {
  return load(file).declared.get(name) ?? '';
}

/** The declarations of this package that a declaration refers to by name. */
export function references(declaration: Declaration): Declaration[] {
  const module = load(declaration.file);
  const code = declarationText(declaration)
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/'[^']*'/g, '');
  const names = new Set(code.match(/(?<![.\w])[A-Z]\w*[a-z]\w*\b/g) ?? []);
  return [...names].flatMap((name) => {
    if (name === declaration.name) return [];
    const imported = module.imports.get(name);
    if (imported) return [resolveFrom(imported)];
    return module.declared.has(name) ? [{ file: declaration.file, name }] : [];
  });
}

/** What a declaration is, in a word, and the first sentence of its comment. */
export function summaryOf(declaration: Declaration): { kind: string; summary: string } {
  const text = declarationText(declaration);
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
  const words = comment
    .replaceAll(/^\s*\* ?/gm, '')
    .trim()
    .replaceAll(/\s+/g, ' ');
  const kind = /^(?:export )?(?:declare )?(?:abstract )?(class|interface|type|function|const)/m.exec(text)?.[1] ?? '';
  return { kind, summary: /^.*?[.:;](?= |$)/.exec(words)?.[0].replace(/[.:;]$/, '') ?? words };
}

/** Path of the declarations of a compiled module, such as `parent/index.js`. */
export function declarationsOf(module: string): string {
  return join(repoRoot, 'dist', module.replace(/\.js$/, '.d.ts'));
}

function resolveFrom({ file, name }: Declaration): Declaration {
  return load(file).exports.get(name) ?? { file, name };
}

function load(file: string): Module {
  const known = modules.get(file);
  if (known) return known;
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const module: Module = { text, imports: new Map(), exports: new Map(), declared: declaredIn(text) };
  modules.set(file, module);
  const target = (from: string) => join(dirname(file), from.replace(/\.js$/, '.d.ts'));
  for (const [, names = '', from = ''] of text.matchAll(/^import (?:type )?\{([^}]*)\} from '(\.[^']+)'/gm)) {
    for (const [name, local] of namesIn(names)) module.imports.set(local, { file: target(from), name });
  }
  for (const name of module.declared.keys()) {
    if (new RegExp(`^export (declare )?(abstract )?\\w+ (class )?${name}\\b`, 'm').test(text)) {
      module.exports.set(name, { file, name });
    }
  }
  for (const [, names = '', from = ''] of text.matchAll(/^export (?:type )?\{([^}]*)\} from '(\.[^']+)'/gm)) {
    for (const [name, exported] of namesIn(names)) {
      module.exports.set(exported, resolveFrom({ file: target(from), name }));
    }
  }
  for (const [, from = ''] of text.matchAll(/^export (?:type )?\* from '(\.[^']+)'/gm)) {
    for (const [name, declaration] of exportsOf(target(from))) module.exports.set(name, declaration);
  }
  return module;
}

function namesIn(list: string): [name: string, local: string][] {
  return list
    .split(',')
    .map((entry) => entry.trim().replace(/^type /, ''))
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [name = '', local = name] = entry.split(' as ');
      return [name, local];
    });
}

/** Each declaration at the top level, with the comment before it. */
function declaredIn(text: string): Map<string, string> {
  const start = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const|let|enum) (\w+)/;
  const declared = new Map<string, string>();
  let name: string | undefined;
  let comment = '';
  let inComment = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('/**')) {
      comment = '';
      inComment = true;
      name = undefined;
    }
    const found = inComment ? undefined : start.exec(line)?.[1];
    if (inComment) {
      comment += `${line}\n`;
      if (line.includes('*/')) inComment = false;
    } else if (found !== undefined) {
      name = found;
      declared.set(name, `${declared.get(name) ?? ''}${comment}${line}\n`);
      comment = '';
    } else if (name !== undefined) {
      declared.set(name, `${declared.get(name)}${line}\n`);
    }
  }
  return declared;
}
