/** What is in an ELF file (elf(5)); 64-bit little-endian ones, which is what the supported machines have. */
import { readFileSync } from 'node:fs';

export interface ElfFile {
  /** As in `e_type`: 2 is ET_EXEC, 3 is ET_DYN. */
  type: number;
  segments: { type: number; flags: number }[];
  /** The dynamic section: values by their tags. */
  dynamic: ReadonlyMap<number, bigint>;
  /** Names of symbols, of the table for the dynamic linker and, where it has not been stripped, of that for debuggers. */
  symbols: ReadonlySet<string>;
  /** Libraries that it needs. */
  libraries: readonly string[];
  /** Versions of their symbols that it needs, such as `GLIBC_2.28`. */
  versions: readonly string[];
}

export const PT_INTERP = 3;
export const PT_GNU_STACK = 0x6474e551;
export const PT_GNU_RELRO = 0x6474e552;
/** Permission to execute a segment. */
export const PF_X = 1;
export const ET_DYN = 3;
export const DT_FLAGS = 30;
export const DF_BIND_NOW = 0x8n;
export const DT_FLAGS_1 = 0x6ffffffb;
export const DF_1_NOW = 0x1n;
export const DF_1_PIE = 0x8000000n;

const SHT_SYMTAB = 2;
const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
/** Versions that are needed (Linux Standard Base, "Symbol Versioning"). */
const SHT_GNU_VERNEED = 0x6ffffffe;
const DT_NEEDED = 1n;

/** Throws where the file cannot be read or is none. */
export function readElf(path: string): ElfFile {
  const file = readFileSync(path);
  if (file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01')
    throw new Error(`${path} is not a 64-bit little-endian ELF file`);
  const dynamic = new Map<number, bigint>();
  const symbols = new Set<string>();
  const sections = tableOf(file, { offset: 0x28, size: 0x3a }).map((at) => ({
    type: file.readUInt32LE(at + 4),
    offset: Number(file.readBigUInt64LE(at + 0x18)),
    size: Number(file.readBigUInt64LE(at + 0x20)),
    link: file.readUInt32LE(at + 0x28),
  }));
  const libraries: string[] = [];
  const versions: string[] = [];
  for (const { type, offset, size, link } of sections) {
    const text = (at: number) => textAt(file, (sections[link]?.offset ?? 0) + at);
    if (type === SHT_DYNAMIC) {
      for (let at = offset; at < offset + size; at += 16) {
        const [tag, value] = [file.readBigUInt64LE(at), file.readBigUInt64LE(at + 8)];
        if (tag === DT_NEEDED) libraries.push(text(Number(value)));
        else dynamic.set(Number(tag), value);
      }
    }
    if (type === SHT_GNU_VERNEED) versions.push(...versionsAt(file, offset, text));
    if (type === SHT_DYNSYM || type === SHT_SYMTAB) {
      for (let at = offset; at < offset + size; at += 24) symbols.add(text(file.readUInt32LE(at)));
    }
  }
  const segments = tableOf(file, { offset: 0x20, size: 0x36 }).map((at) => ({
    type: file.readUInt32LE(at),
    flags: file.readUInt32LE(at + 4),
  }));
  return { type: file.readUInt16LE(0x10), segments, dynamic, symbols, libraries, versions };
}

/** Up to the NUL. */
function textAt(file: Buffer, at: number): string {
  return file.toString('latin1', at, file.indexOf(0, at));
}

/** The names in a section of needed versions: for each library a list of them. */
function versionsAt(file: Buffer, section: number, text: (at: number) => string): string[] {
  const names: string[] = [];
  for (let library = section, next = -1; next !== 0; library += next) {
    for (let version = library + file.readUInt32LE(library + 8), after = -1; after !== 0; version += after) {
      names.push(text(file.readUInt32LE(version + 8)));
      after = file.readUInt32LE(version + 12);
    }
    next = file.readUInt32LE(library + 12);
  }
  return names;
}

/** Where the entries of a table are whose offset, and size of an entry and number of them, stand there in the head. */
function tableOf(file: Buffer, head: { offset: number; size: number }): number[] {
  const first = Number(file.readBigUInt64LE(head.offset));
  const size = file.readUInt16LE(head.size);
  return Array.from({ length: file.readUInt16LE(head.size + 2) }, (_, index) => first + index * size);
}

/** Whether a program needs no dynamic linker, so that it runs in any root file system. */
export function isStatic(path: string): boolean {
  try {
    return !readElf(path).segments.some(({ type }) => type === PT_INTERP);
  } catch {
    return false;
  }
}
