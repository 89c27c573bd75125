/**
 * The part of the API about overlay networks, an addition to RootlessKit's: /v1/overlays and below. What changes something,
 * and what shows a token, is refused to processes inside.
 */
import { firstProblem, problemOf } from '../../../protocol/errors/schema-problems.js';
import type { OverlayRequest } from '../../../protocol/overlay/reports.js';
import { request as requestSchema } from '../../../protocol/overlay/schemas.js';
import { OverlayError, OverlayRequestError } from '../../overlay/errors.js';
import type { Overlays } from '../../overlay/overlays.js';
import { parseJSONBody } from '../request-body.js';
import type { Reply } from '../response.js';

export interface OverlayAPIRequest {
  method: string;
  /** Of the URL. */
  pathname: string;
  query: URLSearchParams;
  fromInside(): boolean;
  body(): Buffer | Promise<Buffer>;
}

/** Undefined for an unknown path. Throws ExpectedError. */
export async function answerOverlays(overlays: Overlays, request: OverlayAPIRequest): Promise<Reply | undefined> {
  const { method, query, pathname } = request;
  const [name, task, ...more] = pathname.split('/').slice(3).map(decodeURIComponent);
  if (more.length > 0) return undefined;
  if (name === undefined) {
    if (method === 'GET') return { status: 200, body: await overlays.list() };
    if (method !== 'POST') return { status: 405 };
    refuseInside(request);
    return { status: 201, body: await overlays.join(parseRequest(parseJSONBody(await request.body()))) };
  }
  if (task === undefined) {
    if (method === 'GET') return { status: 200, body: await overlays.report(name) };
    if (method !== 'DELETE') return { status: 405 };
    refuseInside(request);
    await overlays.leave(name, { remove: query.get('remove') === 'true', force: query.get('force') === 'true' });
    return { status: 200 };
  }
  if (!['token', 'rotate', 'expel'].includes(task)) return undefined;
  if (method !== 'POST') return { status: 405 };
  refuseInside(request);
  if (task === 'token') return { status: 200, body: overlays.token(name) };
  if (task === 'expel') return { status: 200, body: await overlays.expel(name, query.get('member') ?? '') };
  await overlays.rotate(name);
  return { status: 200 };
}

/** Throws OverlayError. */
function refuseInside({ fromInside }: OverlayAPIRequest): void {
  if (fromInside()) {
    throw new OverlayError('overlay networks can be changed from outside of the stack only', {}, 403);
  }
}

/** Throws OverlayRequestError. */
function parseRequest(value: unknown): OverlayRequest {
  const { data, error } = requestSchema.safeParse(value, { error: problemOf });
  if (data) return data;
  const { message, field } = firstProblem(error);
  throw new OverlayRequestError(message, field);
}
