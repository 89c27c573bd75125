import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface WebServer {
  /** Starts nginx in the foreground. */
  readonly words: readonly string[];
  /** The file with the certificate that clients have to trust. */
  readonly authority: string;
  /** The file with that of the server, which has all names, and the one with its key. */
  readonly certificate: string;
  readonly key: string;
  /** The folder of what is served under that name. */
  folder(name: string): string;
}

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')} failed: ${stderr}`);
}

/** Makes what nginx needs to serve these names, at ports 80 and 443 of all addresses (HTTP/2 at the latter). */
export function webServer(directory: string, names: readonly string[]): WebServer {
  const path = (name: string) => join(directory, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const authority = ['-x509', '-subj', '/CN=authority', '-keyout', path('ca.key'), '-out', path('ca.pem')];
  openssl('req', ...newKey, ...authority);
  openssl('req', ...newKey, '-subj', `/CN=${names[0]}`, '-keyout', path('key.pem'), '-out', path('request.pem'));
  writeFileSync(path('names'), `subjectAltName=${names.map((name) => `DNS:${name}`).join()}\n`);
  const signed = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-extfile', path('names')];
  openssl('x509', '-req', '-in', path('request.pem'), ...signed, '-out', path('certificate.pem'));

  const server = (name: string) => `server {
    listen 80; listen [::]:80; listen 443 ssl http2; listen [::]:443 ssl http2;
    server_name ${name}; root ${path(name)};
    location = /version { return 200 "$server_name $server_protocol"; }
  }`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  for (const name of names) mkdirSync(path(name));
  writeFileSync(
    path('nginx.conf'),
    `user root root; worker_processes 1; pid ${path('pid')}; events {}
     http {
       access_log off;
       ssl_certificate ${path('certificate.pem')}; ssl_certificate_key ${path('key.pem')};
       ${temporary.map((name) => `${name}_temp_path ${path(name)};`).join(' ')}
       ${names.map(server).join('\n')}
     }`,
  );
  return {
    words: ['nginx', '-e', 'stderr', '-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'],
    authority: path('ca.pem'),
    certificate: path('certificate.pem'),
    key: path('key.pem'),
    folder: path,
  };
}
