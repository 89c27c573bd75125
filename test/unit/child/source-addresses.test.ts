import assert from 'node:assert/strict';
import { SourceAddresses } from '../../../child/source-address/source-addresses.js';
import type { ConnectTarget } from '../../../protocol/wire/messages.js';

const target: ConnectTarget = {
  proto: 'tcp',
  ip: '10.4.0.2',
  parentIP: '',
  hostGatewayIP: '',
  source: 'keep',
  container: '',
};

describe('the addresses of clients', () => {
  it('are hidden, with one line, if the return path of answers is unknown', async () => {
    const lines: string[] = [];
    const sources = new SourceAddresses(
      () => false,
      async () => {
        throw new Error('the container is gone');
      },
      (line) => lines.push(line),
    );
    for (const client of ['192.0.2.1', '192.0.2.2']) {
      assert.equal(await sources.preserve(target, ['10.4.0.2'], client), undefined);
    }
    assert.deepEqual(lines, ['servers do not see the addresses of clients: the container is gone']);
  });

  it('are hidden if they mean another machine inside, or are of another family than the server', async () => {
    const sources = new SourceAddresses(
      () => true,
      async () => undefined,
      assert.fail,
    );
    for (const client of ['fe80::1', '127.0.0.1', '0.0.0.0', '224.0.0.1', '2001:db8::1', 'nonsense']) {
      assert.equal(await sources.preserve(target, ['10.4.0.2'], client), undefined, client);
    }
  });
});
