import {
  parseAttachmentRequest,
  parseEgressRules,
  parseNetworkRequest,
  parseNetworkUpdate,
} from '../../../protocol/containers/schemas.js';
import { ContainerError } from '../errors.js';
import { requireParent } from '../network/cni/macvlan-parent.js';
import { DEFAULT_NETWORK, type Network, PSEUDO_NETWORKS } from '../network/network.js';
import { created, ok, type Routes } from './route.js';
import type { Services } from './services.js';

export const networkRoutes: Routes = {
  'GET /networks': async ({ networks, networkAdmin }) =>
    ok(await Promise.all((await networks.list()).map((network) => networkAdmin.report(network)))),
  'POST /networks': async ({ networks, networkAdmin }, { body }) => {
    const request = parseNetworkRequest(await body());
    requireParent(request);
    const network = await networks.create(request);
    return created(await networkAdmin.report(network));
  },
  'POST /networks/prune': async ({ networkAdmin }) => ok({ removed: await networkAdmin.prune() }),
  'GET /networks/*': async (services, { name }) =>
    ok(await services.networkAdmin.report(await findNetwork(services, name))),
  'DELETE /networks/*': async (services, { name }) => {
    services.networkAdmin.refusePredefined(name);
    await services.networkAdmin.remove(await findNetwork(services, name));
    return ok();
  },
  'POST /networks/*/update': async (services, { name, body }) => {
    const update = parseNetworkUpdate(await body());
    const { networkAdmin } = services;
    return ok(await networkAdmin.report(await networkAdmin.update(await findNetwork(services, name), update)));
  },
  'POST /networks/*/check': async (services, { name }) =>
    ok({ problems: await services.networkAdmin.check(await findNetwork(services, name)) }),
  'GET /networks/*/names': async (services, { name }) =>
    ok(await services.networkAdmin.names(await findNetwork(services, name))),
  'GET /networks/*/resolve': async (services, { name, query }) => {
    const network = await findNetwork(services, name);
    const asked = (key: string, otherwise: string) => query.get(key) ?? otherwise;
    const question = { name: asked('name', ''), type: asked('type', 'A'), container: asked('container', '') };
    return ok(await services.networkAdmin.resolve(network, question));
  },
  'GET /networks/*/egress': async (services, { name }) =>
    ok(services.networkAdmin.egressOf(await findNetwork(services, name))),
  'POST /networks/*/egress': async (services, { name, body }) => {
    const rules = parseEgressRules(await body());
    return ok(await services.networkAdmin.changeEgress(await findNetwork(services, name), 'add', rules));
  },
  'DELETE /networks/*/egress': async (services, { name, body }) => {
    const rules = parseEgressRules(await body());
    return ok(await services.networkAdmin.changeEgress(await findNetwork(services, name), 'remove', rules));
  },
  'POST /networks/*/connect': async ({ containers }, { name, query, body }) => {
    refusePseudo(name);
    const fields = await body();
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      throw new ContainerError('the request is not a JSON object');
    }
    const request = parseAttachmentRequest({ ...fields, network: name });
    return ok(await containers.connect(query.get('container') ?? '', request));
  },
  'POST /networks/*/disconnect': async ({ containers }, { name, query }) => {
    refusePseudo(name);
    return ok(await containers.disconnect(query.get('container') ?? '', name));
  },
};

/** By name, id, or a prefix of an id; creates the default network. Throws ContainerError. */
async function findNetwork({ networks }: Services, name: string): Promise<Network> {
  refusePseudo(name);
  return name === DEFAULT_NETWORK ? networks.default() : networks.find(name);
}

/** Throws ContainerError. */
function refusePseudo(name: string): void {
  if (PSEUDO_NETWORKS.includes(name)) {
    throw new ContainerError(`cannot use ${name} here: it is not a network; containers have it by --network=${name}`);
  }
}
