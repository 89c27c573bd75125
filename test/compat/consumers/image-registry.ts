import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

const digestOf = (bytes: string | Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const TYPES = 'application/vnd.docker';

/** A registry of one image with one layer, tagged 1 (Docker's registry API, version 2: what a pull asks for). */
export class ImageRegistry implements AsyncDisposable {
  private constructor(private readonly server: Server) {}

  /** Serves the files below `tree` as the image of that name, over HTTP at a free port of `host`. */
  static async serve(host: string, name: string, tree: string): Promise<ImageRegistry> {
    const { stdout: archive, status } = spawnSync('tar', ['-C', tree, '-c', '.'], { maxBuffer: 1 << 28 });
    if (status !== 0) throw new Error(`tar of ${tree} failed`);
    const layer = gzipSync(archive, { level: 1 });
    const rootfs = { type: 'layers', diff_ids: [digestOf(archive)] };
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    const config = JSON.stringify({ architecture, os: 'linux', config: {}, rootfs, history: [{}] });
    const part = (mediaType: string, bytes: string | Buffer) => ({
      mediaType: `${TYPES}.${mediaType}`,
      size: Buffer.byteLength(bytes),
      digest: digestOf(bytes),
    });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: `${TYPES}.distribution.manifest.v2+json`,
      config: part('container.image.v1+json', config),
      layers: [part('image.rootfs.diff.tar.gzip', layer)],
    });
    const documents: Record<string, string | Buffer> = { '/v2/': '{}', [`/v2/${name}/manifests/1`]: manifest };
    documents[`/v2/${name}/manifests/${digestOf(manifest)}`] = manifest;
    for (const blob of [config, layer]) documents[`/v2/${name}/blobs/${digestOf(blob)}`] = blob;

    const server = createServer((request, response) => {
      const found = documents[request.url ?? ''];
      if (found === undefined) return void response.writeHead(404).end();
      response.writeHead(200, {
        'content-type': found === manifest ? `${TYPES}.distribution.manifest.v2+json` : 'application/octet-stream',
        'content-length': Buffer.byteLength(found),
        'docker-content-digest': digestOf(found),
      });
      response.end(request.method === 'HEAD' ? undefined : found);
    });
    server.listen(0, host);
    await once(server, 'listening');
    return new ImageRegistry(server);
  }

  /** HOST:PORT, as names of images begin with. */
  get address(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
