import assert from 'node:assert/strict';
import { portConflict } from '../../../../../child/container/ports/port-holders.js';
import { cniMappingOf } from '../../../../../protocol/ports/cni-json.js';
import { parsePublish } from '../../../../../protocol/ports/grammar.js';

const ports = (...texts: string[]) => texts.map((text) => cniMappingOf(parsePublish(text)));
const message = (asked: string[], held: string[]) =>
  portConflict(ports(...asked), [{ name: 'other', ports: ports(...held) }])?.message;

describe('a port of the host that is in use', () => {
  for (const [asked, held, where] of [
    ['8080:80', '127.0.0.1:8080:90', 'tcp :8080'],
    ['127.0.0.1:8080:80', '8080:90', 'tcp 127.0.0.1:8080'],
    ['127.0.0.1:8080:80', '0.0.0.0:8080:90', 'tcp 127.0.0.1:8080'],
    ['[::]:8080:80', '[::1]:8080:90', 'tcp [::]:8080'],
    ['8078-8082:78-82/udp', '8080:90/udp', 'udp :8080'],
  ] as const) {
    it(`${asked} is named with the container that has ${held}`, () => {
      const expected = `listen ${where}: bind: address already in use; the container other has published it`;
      assert.equal(message([asked], [held]), expected);
    });
  }

  for (const [asked, held] of [
    ['127.0.0.1:8080:80', '127.0.0.2:8080:80'],
    ['8080:80', '8080:80/udp'],
    ['0.0.0.0:8080:80', '[::]:8080:80'],
    ['[::1]:8080:80', '0.0.0.0:8080:80'],
    ['80', '8080:80'],
    ['8080-8082:80', '8080:80'],
  ] as const) {
    it(`${asked} has nothing to do with ${held}`, () => {
      assert.equal(message([asked], [held]), undefined);
    });
  }

  it('is named if it is requested twice', () => {
    const expected = 'listen tcp 127.0.0.1:8080: bind: address already in use; it is published twice';
    assert.equal(message(['8080:80', '127.0.0.1:8080:81'], []), expected);
    assert.equal(message(['127.0.0.2:8080:80', '127.0.0.1:8080:81'], []), undefined);
  });
});
