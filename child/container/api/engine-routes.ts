import { ok, type Routes } from './route.js';

/** Garbage collection, and the OCI hooks. */
export const engineRoutes: Routes = {
  'POST /gc': async ({ garbage }, { query }) => ok(await garbage.run(query.get('repair') === 'true' ? 'all' : 'none')),
  'POST /hooks/createRuntime': async ({ hooks }, { body }) => {
    await hooks.run('createRuntime', await body());
    return ok();
  },
  'POST /hooks/poststop': async ({ hooks }, { body }) => {
    await hooks.run('poststop', await body());
    return ok();
  },
};
