import assert from 'node:assert/strict';
import { hostNames } from '../../../../parent/stack/name-files.js';

const info = { driver: 'builtin', gateway: '10.0.2.2' };
const hostPorts = [{ transport: 'tcp', port: 5432, host: { ip: '127.0.0.1', port: 5432 } }] as const;

describe('names of the host in /etc/hosts', () => {
  const line = '10.0.2.2 host.rootless.internal host.docker.internal host.containers.internal\n';

  it('are there where ports of it can be reached', () => {
    assert.equal(hostNames(info, { hostLoopback: false, hostPorts }), line);
    assert.equal(hostNames(info, { hostLoopback: true }), line);
  });

  it('are not there where nothing of it can be reached, or by another network driver', () => {
    assert.equal(hostNames(info, { hostLoopback: false, hostPorts: [] }), '');
    assert.equal(hostNames({ ...info, driver: 'pasta' }, { hostLoopback: true }), '');
  });
});
