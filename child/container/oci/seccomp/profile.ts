/**
 * Seccomp profiles as container engines keep them in files, and the part of them that an OCI runtime gets (runtime-spec,
 * config-linux.md, "Seccomp").
 *
 * A profile has rules for all machines and all sets of capabilities: `includes` and `excludes` decide where a rule applies,
 * and `archMap` lists the further architectures that a machine's programs may have. A runtime gets the rules that apply here.
 */
import { release } from 'node:os';
import * as z from 'zod';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { ContainerError } from '../../errors.js';

const action = z.enum([
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_TRAP',
]);
const architecture = z.string().regex(/^SCMP_ARCH_[A-Z0-9_]+$/);
const errno = z.int().min(0).max(4095);
const argument = z.object({
  index: z.int().min(0).max(5),
  // Larger numbers lose their last bits in JSON; no filter compares with them.
  value: z.number().min(0),
  valueTwo: z.number().min(0).optional(),
  op: z.enum([
    'SCMP_CMP_EQ',
    'SCMP_CMP_GE',
    'SCMP_CMP_GT',
    'SCMP_CMP_LE',
    'SCMP_CMP_LT',
    'SCMP_CMP_MASKED_EQ',
    'SCMP_CMP_NE',
  ]),
});
const condition = z.object({
  caps: z.array(z.string()).nullish(),
  arches: z.array(z.string()).nullish(),
  minKernel: z
    .string()
    .regex(/^\d+\.\d+/)
    .nullish(),
});
const rule = z
  .object({
    name: z.string().optional(),
    names: z.array(z.string().regex(/^\w+$/)).nullish(),
    action,
    errnoRet: errno.nullish(),
    args: z.array(argument).nullish(),
    includes: condition.nullish(),
    excludes: condition.nullish(),
  })
  .refine(({ name, names }) => name !== undefined || (names?.length ?? 0) > 0, { error: 'names no system call' });
const profile = z.object({
  defaultAction: action,
  defaultErrnoRet: errno.nullish(),
  architectures: z.array(architecture).nullish(),
  archMap: z.array(z.object({ architecture, subArchitectures: z.array(architecture).nullish() })).nullish(),
  flags: z.array(z.string().regex(/^SECCOMP_FILTER_FLAG_[A-Z_]+$/)).nullish(),
  syscalls: z.array(rule).nullish(),
});
export type SeccompProfile = z.infer<typeof profile>;
type Condition = z.infer<typeof condition>;
type Action = z.infer<typeof action>;

/** `linux.seccomp` of an OCI configuration. */
export interface SeccompConfig {
  defaultAction: Action;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  syscalls: { names: string[]; action: Action; errnoRet?: number; args?: z.infer<typeof argument>[] }[];
}

/** A machine, by its names in profiles and in libseccomp. */
interface Machine {
  name: string;
  architectures: readonly string[];
}

/** By process.arch. */
const MACHINES: Readonly<Record<string, Machine>> = {
  arm: { name: 'arm', architectures: ['SCMP_ARCH_ARM'] },
  arm64: { name: 'arm64', architectures: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'] },
  ia32: { name: 'x86', architectures: ['SCMP_ARCH_X86'] },
  loong64: { name: 'loong64', architectures: ['SCMP_ARCH_LOONGARCH64'] },
  ppc64: { name: 'ppc64le', architectures: ['SCMP_ARCH_PPC64LE'] },
  riscv64: { name: 'riscv64', architectures: ['SCMP_ARCH_RISCV64'] },
  s390x: { name: 's390x', architectures: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'] },
  x64: { name: 'amd64', architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
};

/** @param source where the text is from, for messages. Throws ContainerError. */
export function parseProfile(text: string, source: string): SeccompProfile {
  try {
    return profile.parse(JSON.parse(text));
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    const where = issue?.path.map(String).join('.');
    const why = issue ? [where, issue.message].filter((part) => part).join(': ') : errorText(error);
    throw new ContainerError(`invalid seccomp profile ${source}: ${why}`);
  }
}

/** The part of a profile that applies to programs that can have these capabilities, on this machine. */
export function configOf(
  { defaultAction, defaultErrnoRet, architectures, archMap, flags, syscalls }: SeccompProfile,
  capabilities: readonly string[],
  machine: Machine | undefined = MACHINES[process.arch],
): SeccompConfig {
  const native = machine?.architectures[0];
  const mapped = archMap?.find((entry) => entry.architecture === native);
  const chosen = architectures?.length
    ? architectures
    : mapped
      ? [mapped.architecture, ...(mapped.subArchitectures ?? [])]
      : machine?.architectures;
  const applies = (conditions: Condition | null | undefined, every: boolean) => {
    const { caps, arches, minKernel } = conditions ?? {};
    const has = (name: string) => capabilities.includes(name);
    const tests = [
      caps?.length ? (every ? caps.every(has) : caps.some(has)) : undefined,
      arches?.length ? arches.includes(machine?.name ?? '') : undefined,
      minKernel ? isKernel(minKernel) : undefined,
    ].filter((test) => test !== undefined);
    return every ? tests.every((test) => test) : tests.some((test) => test);
  };
  return {
    defaultAction,
    ...errnoFor(defaultAction, 'defaultErrnoRet', defaultErrnoRet),
    ...(chosen ? { architectures: [...chosen] } : {}),
    ...(flags?.length ? { flags } : {}),
    syscalls: (syscalls ?? [])
      .filter(({ includes, excludes }) => applies(includes, true) && !applies(excludes, false))
      .map(({ name, names, action: what, errnoRet, args }) => ({
        names: names?.length ? names : [name ?? ''],
        action: what,
        ...errnoFor(what, 'errnoRet', errnoRet),
        ...(args?.length ? { args } : {}),
      })),
  };
}

/** Runtimes refuse an errno where it has no meaning. */
function errnoFor<Key extends string>(
  what: Action,
  key: Key,
  value: number | null | undefined,
): Partial<Record<Key, number>> {
  const meant = what === 'SCMP_ACT_ERRNO' || what === 'SCMP_ACT_TRACE';
  return meant && typeof value === 'number' ? ({ [key]: value } as Record<Key, number>) : {};
}

/** Whether the kernel is of that version or a later one. */
function isKernel(version: string): boolean {
  const numbers = (text: string) => text.split(/\D+/).map(Number);
  const [[major = 0, minor = 0], [wantedMajor = 0, wantedMinor = 0]] = [numbers(release()), numbers(version)];
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
