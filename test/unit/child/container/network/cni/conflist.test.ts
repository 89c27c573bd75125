import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfList, readConfDir } from '../../../../../../child/container/network/cni/executor/conflist.js';
import { chosenVersion } from '../../../../../../child/container/network/cni/executor/versions.js';
import { tempDir } from '../../../../../support/index.js';
import { fails, network } from './executor.js';

describe('CNI: a network configuration', () => {
  it('is a list, or one plugin that becomes a list, with unknown keys', () => {
    const list = { ...network([{ type: 'a', strange: { deep: [1] } }]), 'example.com/key': true };
    assert.deepEqual(parseConfList(JSON.stringify(list)), list);
    const single = { cniVersion: '0.4.0', name: 'lo', type: 'loopback', strange: null };
    assert.deepEqual(parseConfList(JSON.stringify(single)), { cniVersion: '0.4.0', name: 'lo', plugins: [single] });
  });

  it('that is invalid is refused in a line that names the place', () => {
    for (const [value, code, message] of [
      ['{', 6, /is not JSON: /],
      ['[]', 7, /invalid network configuration: it is not an object/],
      [JSON.stringify({ ...network(['a']), name: '../x' }), 7, /invalid network configuration: name does not match/],
      [JSON.stringify(network([])), 7, /invalid network configuration: plugins is empty/],
      [JSON.stringify({ cniVersion: '1.0.0', name: 'a' }), 7, /invalid network configuration: plugins is not a list/],
      [
        JSON.stringify(network(['../sh'])),
        7,
        /invalid network configuration: plugins\.0\.type is not the name of a plugin/,
      ],
      [JSON.stringify(network([{ type: 'a', capabilities: { mac: 1 } } as never])), 7, /plugins\.0\.capabilities\.mac/],
      [
        JSON.stringify({ name: 'a', plugins: [{ type: 'a' }] }),
        7,
        /invalid network configuration: cniVersion is not a string/,
      ],
      [
        JSON.stringify(network(['a'], { disableGC: 'yes' as never })),
        7,
        /invalid network configuration: disableGC is not true or false/,
      ],
      [JSON.stringify(network(['a'], { cniVersion: '0.2.0' })), 1, /network net1 has cniVersion 0\.2\.0; supported/],
    ] as const) {
      assert.throws(() => parseConfList(value), fails(code, message), value);
    }
  });

  it('is spoken in the newest version that both know', () => {
    const chosen = (cniVersion: string, cniVersions?: string[]) =>
      chosenVersion(network(['a'], { cniVersion, ...(cniVersions && { cniVersions }) }));
    assert.equal(chosen('0.3.1'), '0.3.1');
    assert.equal(chosen('0.4.0', ['1.1.0', '0.3.0', '1.0.0', '9.9.9']), '1.1.0');
    assert.equal(chosen('1.0.0', ['0.4.0']), '1.0.0');
  });

  it('comes from every directory by the names of files, and an invalid file does not hide the others', async () => {
    const [first, second] = [tempDir(), tempDir()];
    const put = (dir: string, name: string, text: string) => writeFileSync(join(dir, name), text);
    const named = (name: string) => JSON.stringify(network(['a'], { name }));
    put(first, '20-b.conflist', named('b'));
    put(first, '30-c.conf', JSON.stringify({ cniVersion: '1.0.0', name: 'c', type: 'a' }));
    put(first, '40-b.json', named('b'));
    put(first, 'readme.txt', 'nothing');
    put(second, '10-a.json', named('a'));
    put(second, '15-broken.conflist', '{');
    put(second, '16-wrong.conflist', '{}');
    mkdirSync(join(second, '17-dir.conf'));
    const { networks, problems } = await readConfDir([first, join(first, 'nowhere'), second]);
    assert.deepEqual(
      networks.map(({ file, list }) => [file, list.name]),
      [
        [join(second, '10-a.json'), 'a'],
        [join(first, '20-b.conflist'), 'b'],
        [join(first, '30-c.conf'), 'c'],
      ],
    );
    assert.deepEqual(
      problems.map(({ file }) => file),
      [
        ...['15-broken.conflist', '16-wrong.conflist', '17-dir.conf'].map((name) => join(second, name)),
        join(first, '40-b.json'),
      ],
    );
    assert.match(problems[0]?.what ?? '', /^the network configuration is not JSON/);
    assert.match(problems[2]?.what ?? '', /EISDIR/);
    assert.equal(problems[3]?.what, `network b is in ${join(first, '20-b.conflist')} already`);
  });
});
