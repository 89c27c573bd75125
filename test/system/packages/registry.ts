/** A registry of npm with the packages of this project, as far as package managers need it to install them. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';

export interface PublishedPackage {
  manifest: { name: string; version: string };
  /** Path of its archive. */
  archive: string;
}

export interface Registry extends AsyncDisposable {
  readonly url: string;
}

/** Serves packages on a free port of the loopback address. */
export async function startRegistry(packages: readonly PublishedPackage[]): Promise<Registry> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1);
    const file = packages.find(({ archive }) => path === `files/${basename(archive)}`);
    const document = packages.find(({ manifest }) => path === manifest.name);
    if (file) return response.end(readFileSync(file.archive));
    if (document) return response.end(JSON.stringify(documentOf(document, url())));
    response.writeHead(404).end('{}');
  });
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: url(),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What a registry answers about a package. */
function documentOf({ manifest, archive }: PublishedPackage, url: string) {
  const data = readFileSync(archive);
  const dist = {
    tarball: `${url}files/${basename(archive)}`,
    shasum: createHash('sha1').update(data).digest('hex'),
    integrity: `sha512-${createHash('sha512').update(data).digest('base64')}`,
  };
  const { name, version } = manifest;
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
}
