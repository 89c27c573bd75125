/** Schemas for the options of a container's programs. The rules themselves are in the imported modules. */
import * as z from 'zod';
import { withHint } from '../errors/expected-error.js';
import { parsing, problemOf } from '../errors/schema-problems.js';
import { signalNumber } from '../system/signals.js';
import { capabilityName } from './capabilities.js';
import { type ContainerMount, cleaned, mountProblem, parseVolume } from './mounts.js';
import { ContainerOptionError } from './option-error.js';
import { MAX_RETRIES, RESTART_POLICIES } from './restart-policy.js';
import { RLIMITS, ulimitProblem } from './rlimits.js';
import { checkSysctl, sysctlName } from './sysctls.js';

const names = z
  .array(z.string().transform(parsing(capabilityName)))
  .max(100)
  .default([]);

const sysctls = z
  .record(z.string().transform(sysctlName), z.string())
  .superRefine((values, context) => {
    for (const [name, value] of Object.entries(values)) {
      try {
        checkSysctl(name, value);
      } catch (error) {
        if (!(error instanceof ContainerOptionError)) throw error;
        context.addIssue(withHint(error.message, error.hint));
      }
    }
  })
  .default({});

const mountFields = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({
        type: z.literal('bind'),
        source: z.string(),
        target: z.string(),
        options: z.array(z.string()).default([]),
      }),
      z.strictObject({ type: z.literal('tmpfs'), target: z.string(), options: z.array(z.string()).default([]) }),
    ],
    { error: 'expected an object whose type is bind or tmpfs' },
  )
  .superRefine((mount, context) => {
    const problem = mountProblem(mount);
    if (problem !== undefined) context.addIssue(`invalid mount: ${problem}`);
  })
  .transform((mount): ContainerMount => ({ ...mount, target: cleaned(mount.target) }));
const mountText = z.string().transform(parsing((text) => parseVolume(text, (path) => path)));

const mounts = z
  .array(
    z
      .unknown()
      .transform((value, context): ContainerMount => {
        // A union would not report which part is invalid.
        const result =
          typeof value === 'string' ? mountText.safeParse(value) : mountFields.safeParse(value, { error: problemOf });
        if (result.success) return result.data;
        for (const { message, path } of result.error.issues) context.addIssue({ code: 'custom', message, path });
        return z.NEVER;
      })
      .describe('`SOURCE:TARGET[:OPTIONS]`, or an object with type (bind, tmpfs), source, target and options.'),
  )
  .max(1000)
  .superRefine((all, context) => {
    const targets = all.map(({ target }) => target);
    const twice = targets.find((target, index) => targets.indexOf(target) !== index);
    if (twice !== undefined) context.addIssue(`${twice} is the target of two mounts`);
  })
  .default([]);

const rlimit = z.int().min(-1).max(1e15);

/** Fields of a container request. */
export const optionFields = {
  mounts,
  sysctls,
  capAdd: names,
  capDrop: names,
  init: z.boolean().default(false),
  stopSignal: z
    .string()
    .refine(
      (text) => {
        try {
          return signalNumber(text) > 0;
        } catch {
          return false;
        }
      },
      { error: (issue) => `unknown signal ${JSON.stringify(issue.input)}: expected a name such as TERM, or a number` },
    )
    .optional(),
  stopTimeout: z.int().min(-1).max(999_999).optional(),
  restart: z
    .strictObject({ policy: z.enum(RESTART_POLICIES), maxRetries: z.int().min(1).max(MAX_RETRIES).optional() })
    .refine(({ policy, maxRetries }) => maxRetries === undefined || policy === 'on-failure', {
      error: 'only the restart policy on-failure takes a number of retries',
    })
    .default({ policy: 'no' }),
  ulimits: z
    .array(
      z.strictObject({ name: z.enum(RLIMITS), soft: rlimit, hard: rlimit }).superRefine((limit, context) => {
        const problem = ulimitProblem(limit);
        if (problem !== undefined) context.addIssue(`invalid ulimit ${limit.name}: ${problem}`);
      }),
    )
    .max(RLIMITS.length)
    .default([]),
  shmSize: z.int().min(1).optional(),
  groupAdd: z
    .array(
      z.string().regex(/^[a-zA-Z0-9_][^:,\s\0]{0,255}$/, {
        error: (issue) => `invalid group ${JSON.stringify(issue.input)}: expected a name or a gid`,
      }),
    )
    .max(1000)
    .default([]),
  pidFile: z
    .string()
    .regex(/^\/[^\0\n]*$/, { error: (issue) => `the pid file ${JSON.stringify(issue.input)} is not an absolute path` })
    .optional(),
  annotations: z.record(z.string().min(1), z.string()).default({}),
};
