import assert from 'node:assert/strict';
import { addressKey, socketRows } from '../../../../parent/flows/socket-table.js';
import { findSockets, type SoughtSocket, type Tables } from '../../../../parent/flows/sockets.js';

const TITLES = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

/** A line as on a little-endian machine. */
function line(local: string, remote: string, state: string, inode: number): string {
  return `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0000 20 4 30 10 -1\n`;
}

const V4 = '6402000A';
const ANY = '00000000';
const V6 = '000000FD000000000000000000010000';
const ANY_V6 = '0'.repeat(32);

function tables(files: Record<string, string[]>, ips: string[] = []): Tables {
  return { read: (name) => TITLES + (files[name] ?? []).join(''), hasAddress: (ip) => ips.includes(ip) };
}

const isLittle = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

describe('tables of sockets', function () {
  if (!isLittle) this.pending = true;

  it('have addresses as other texts do', () => {
    const text = [
      TITLES,
      line(`${V4}:8235`, '08080808:01BB', '01', 7),
      line(`${V6}:0050`, `${ANY_V6}:0000`, '0A', 8),
      line(`0000000000000000FFFF0000${V4}:0050`, `${ANY_V6}:0000`, '0A', 9),
      line(`${V4}:8236`, '08080808:01BB', '06', 0),
      '   4: 6402000A:82',
    ].join('');
    assert.deepEqual(
      [...socketRows(text)],
      [
        { local: addressKey('10.0.2.100:33333'), remote: addressKey('8.8.8.8:443'), listening: false, inode: '7' },
        { local: addressKey('[fd00::100]:80'), remote: addressKey('[::]:0'), listening: true, inode: '8' },
        { local: addressKey('10.0.2.100:80'), remote: addressKey('[::]:0'), listening: true, inode: '9' },
      ],
    );
    for (const text of ['', 'x', 'host:80', ':80']) assert.equal(addressKey(text), '', text);
  });

  const found = (sought: SoughtSocket, own: Tables | undefined, ...others: Tables[]) =>
    findSockets([sought], own, others).get(0);
  const client = { protocol: 'tcp', local: '10.0.2.100:33333', remote: '8.8.8.8:443' } as const;

  it('lead to the socket of a connection, not to one of another', () => {
    const own = tables({
      tcp: [
        line(`${V4}:8235`, '08080808:01BC', '01', 1),
        line(`${V4}:8235`, '08080808:01BB', '01', 2),
        line(`${ANY}:8235`, `${ANY}:0000`, '0A', 3),
      ],
    });
    assert.equal(found(client, own), '2');
    assert.equal(found({ ...client, remote: '8.8.4.4:443' }, own), undefined);
    assert.equal(found({ ...client, protocol: 'udp' }, own), undefined);
  });

  it('lead to a socket of UDP that is not connected', () => {
    const udp = { ...client, protocol: 'udp' } as const;
    const wildcard = line(`${ANY}:8235`, `${ANY}:0000`, '07', 4);
    const bound = line(`${V4}:8235`, `${ANY}:0000`, '07', 5);
    const connected = line(`${V4}:8235`, '08080808:01BB', '01', 6);
    assert.equal(found(udp, tables({ udp: [wildcard] })), '4');
    assert.equal(found(udp, tables({ udp: [wildcard, bound] })), '5');
    assert.equal(found(udp, tables({ udp: [connected, bound, wildcard] })), '6');
    assert.equal(found(udp, tables({ udp6: [line(`${ANY_V6}:8235`, `${ANY_V6}:0000`, '07', 7)] })), '7');
  });

  it('lead to the socket of a server', () => {
    const own = tables({
      tcp: [line(`${V4}:0050`, '08080808:1234', '01', 1), line(`${ANY}:0050`, `${ANY}:0000`, '0A', 2)],
    });
    assert.equal(found({ protocol: 'tcp', local: ':80' }, own), '2');
    assert.equal(found({ protocol: 'tcp', local: '10.0.2.100:80' }, own), '2');
    assert.equal(found({ protocol: 'tcp', local: ':81' }, own), undefined);
  });

  it('of containers are searched by what masquerade leaves as it is, where that is of one socket', () => {
    const one = tables({ tcp: [line('0300580A:8235', '08080808:01BB', '01', 3)] });
    const same = tables({ tcp: [line('0400580A:8235', '08080808:01BB', '01', 4)] });
    assert.equal(found(client, tables({}), one), '3');
    assert.equal(found(client, tables({}), one, same), undefined);
    assert.equal(found(client, undefined, same), '4');
  });

  it('of containers are searched for a server where they have its address', () => {
    const server = { protocol: 'tcp', local: '10.88.0.3:80' } as const;
    const listening = { tcp: [line(`${ANY}:0050`, `${ANY}:0000`, '0A', 3)] };
    assert.equal(found(server, tables({}), tables(listening, ['10.88.0.3'])), '3');
    assert.equal(found(server, tables({}), tables(listening, ['10.88.0.4'])), undefined);
  });
});
