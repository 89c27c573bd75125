/** OCI bundles: reading their configuration, and changing it as a request asks (runtime-spec, bundle.md). */
import { isAbsolute, join } from 'node:path';
import * as z from 'zod';
import type { ContainerRequest } from '../../../protocol/containers/types.js';
import { errnoText } from '../../../protocol/errors/errno-text.js';
import { errnoName, errorText } from '../../../protocol/errors/error-text.js';
import { problemOf } from '../../../protocol/errors/schema-problems.js';
import { ContainerError } from '../errors.js';
import { readText } from '../storage/atomic-files.js';
import type { ContainerUser } from './container-user.js';
import { withCapabilities } from './options.js';

const namespaceSchema = z.object({ type: z.string(), path: z.string().optional() });
const hookSchema = z.looseObject({ path: z.string() });
const bundleSchema = z.looseObject({
  ociVersion: z.string(),
  root: z.looseObject({ path: z.string() }),
  process: z.looseObject({ args: z.array(z.string()).default([]), env: z.array(z.string()).default([]) }),
  mounts: z.array(z.looseObject({ destination: z.string() })).default([]),
  hooks: z
    .looseObject({ createRuntime: z.array(hookSchema).optional(), poststop: z.array(hookSchema).optional() })
    .optional(),
  linux: z
    .looseObject({
      namespaces: z.array(namespaceSchema).default([]),
      sysctl: z.record(z.string(), z.string()).optional(),
    })
    .default({ namespaces: [] }),
});
/** The used part of an OCI configuration; the rest is kept as it is. */
export type Spec = z.infer<typeof bundleSchema>;

/** The command of a bundle. Throws ContainerError. */
export async function bundleCommand(bundle: string): Promise<string[]> {
  return (await readBundle(bundle)).process.args;
}

/** The configuration of a bundle, with absolute paths. Throws ContainerError. */
export async function readBundle(bundle: string): Promise<Spec> {
  const file = join(bundle, 'config.json');
  const text = await readText(file).catch((error: unknown) => {
    const code = errnoName(error);
    const why = code === '' ? errorText(error) : `${file}: ${errnoText(code)}`;
    throw new ContainerError(`cannot use the OCI bundle ${bundle} (--bundle): ${why}`);
  });
  if (text === undefined) throw new ContainerError(`no OCI bundle in ${bundle}: ${file} does not exist`);
  try {
    const spec = bundleSchema.parse(JSON.parse(text), { error: problemOf });
    // Relative to this bundle, while the runtime gets another one.
    const absolute = (path: string) => (isAbsolute(path) ? path : join(bundle, path));
    const mounts = spec.mounts.map((mount) =>
      typeof mount.source === 'string' && isBind(mount) ? { ...mount, source: absolute(mount.source) } : mount,
    );
    return { ...spec, root: { ...spec.root, path: absolute(spec.root.path) }, mounts };
  } catch (error) {
    throw new ContainerError(`${file} is not a valid OCI bundle configuration: ${explain(error)}`);
  }
}

function explain(error: unknown): string {
  const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
  if (!issue) return errorText(error);
  return issue.path.length === 0 ? issue.message : `${issue.path.map(String).join('.')}: ${issue.message}`;
}

/** Replaces what the request changes of a bundle's process. */
export function withProcess(spec: Spec, request: ContainerRequest, user: ContainerUser | undefined): Spec {
  const { cwd, readOnly } = request;
  const own = spec.process.user as { uid?: number } | undefined;
  // Of a bundle's user only what is requested is replaced.
  const { additionalGids, ...ids } = user ?? { additionalGids: [] };
  const changed = {
    ...own,
    ...(request.user === undefined ? {} : ids),
    ...(additionalGids.length > 0 ? { additionalGids } : {}),
  };
  const sets = spec.process.capabilities as Record<string, string[]> | undefined;
  const capabilities = withCapabilities(sets, request, changed.uid ?? 0);
  return {
    ...spec,
    root: { ...spec.root, ...(readOnly ? { readonly: true } : {}) },
    process: {
      ...spec.process,
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined ? {} : { user: changed }),
      ...(capabilities === undefined ? {} : { capabilities }),
    },
  };
}

/** How runtimes recognize a bind mount (runtime-spec, config.md, "Mounts"). */
function isBind({ type, options }: Record<string, unknown>): boolean {
  const words: unknown[] = Array.isArray(options) ? options : [];
  return type === 'bind' || words.includes('bind') || words.includes('rbind');
}
