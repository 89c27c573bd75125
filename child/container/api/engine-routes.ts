import { parseOverlayStates } from '../../../protocol/overlay/states.js';
import { ok, type Routes } from './route.js';

/** Garbage collection, the OCI hooks, and overlay networks, on which the parent decides: it does not forward requests to these. */
export const engineRoutes: Routes = {
  'POST /gc': async ({ garbage }, { query }) => ok(await garbage.run(query.get('repair') === 'true' ? 'all' : 'none')),
  'PUT /overlays': async ({ overlays }, { body }) => {
    return ok(await overlays.apply(parseOverlayStates(await body())));
  },
  'GET /overlays/*': async ({ overlays }, { name }) => ok(await overlays.status(name)),
  'DELETE /overlays/*': async ({ overlays, networkAdmin }, { name }) => {
    await networkAdmin.removeOverlay(name, () => overlays.leave(name));
    return ok();
  },
  'POST /hooks/createRuntime': async ({ hooks }, { body }) => {
    await hooks.run('createRuntime', await body());
    return ok();
  },
  'POST /hooks/poststop': async ({ hooks }, { body }) => {
    await hooks.run('poststop', await body());
    return ok();
  },
};
