import assert from 'node:assert/strict';
import { native } from '../../../../native/index.js';
import { PortReservations } from '../../../../parent/containers/port-reservations.js';
import { PortBindError, PortError } from '../../../../parent/port/errors.js';
import { ActivatedSockets } from '../../../../parent/systemd/activated-sockets.js';
import { type CNIPortMapping, mappingOf } from '../../../../protocol/ports/cni-json.js';
import type { PortMapping, PublishedPort } from '../../../../protocol/ports/port-mapping.js';
import { FakePortDriver } from '../../../support/stacks/fake-port-driver.js';

/** It has the listeners, and closes them with their ports. */
class AdoptingDriver extends FakePortDriver {
  readonly #fds = new Map<number, number[]>();

  async adopt(fds: number[], mapping: PortMapping): Promise<PublishedPort> {
    assert.equal(fds.length, mapping.count);
    const port = await this.add(mapping);
    this.#fds.set(port.id, fds);
    return port;
  }

  override async remove(id: number, count = 1): Promise<void> {
    await super.remove(id, count);
    for (const fd of this.#fds.get(id) ?? []) native().closeFd(fd);
  }
}

const free: CNIPortMapping = {
  protocol: 'tcp',
  hostIP: '127.9.9.9',
  hostPort: 20_000,
  hostPortEnd: 65_535,
  containerPort: 80,
};

describe('ports that an agent reserves', () => {
  let driver: AdoptingDriver;
  let ports: PortReservations;
  beforeEach(() => {
    driver = new AdoptingDriver();
    ports = new PortReservations(driver);
  });
  afterEach(() => ports.close());
  const reserve = (owner: string, mappings: CNIPortMapping[]) => ports.reserve(owner, mappings.map(mappingOf));

  it('in the same range get the first free ones in their order, each attempt made once', async () => {
    const ranges = Array.from({ length: 1000 }, () => free);
    const reserved = await reserve('one', ranges);
    assert.equal(new Set(reserved).size, 1000);
    assert.deepEqual(
      reserved,
      reserved.toSorted((a, b) => a - b),
    );
  });

  it('do not hold up this process while they are opened and activated', async () => {
    let turns = 0;
    let done = false;
    const count = () => {
      turns++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await reserve('many', [{ ...free, hostPort: 0, hostPortEnd: undefined, count: 2000, containerPort: 1 }]);
    const reserving = turns;
    await ports.activate('many', '10.4.0.2');
    done = true;
    assert.ok(reserving >= 5, `${reserving} turns while they were reserved`);
    assert.ok(turns - reserving >= 5, `${turns - reserving} turns while they were activated`);
  });

  it('in a range are one port of the driver, whose parts can be removed', async () => {
    const range = { ...free, hostPort: 21_000, hostPortEnd: undefined, containerPort: 1000, count: 5000 };
    assert.deepEqual(await reserve('range', [range]), []);
    await ports.activate('range', '10.4.0.2');
    assert.deepEqual(
      driver.list().map(({ count, host, id, target }) => [id, host.port, target.port, target.ip, count]),
      [[1, 21_000, 1000, '10.4.0.2', 5000]],
    );
    await assert.rejects(
      reserve('same', [{ ...range, hostPort: 20_500, count: 1000 }]),
      /:21000: bind: address already in use/,
    );
    // The ports before the one that was refused are free again.
    native().closeFd(native().listen('127.9.9.9', 20_999, 'tcp', false).fd);
    await ports.release('range');
    assert.deepEqual(driver.list(), []);
  });

  it('of which one is in use name the socket of systemd that has it, and no other one', async () => {
    const open = (ip: string, port: number) => native().listen(ip, port, 'tcp', false).fd;
    const range = { ...free, hostPort: 22_000, hostPortEnd: undefined, count: 10 };
    const own = { ...mappingOf({ ...range, hostPort: 22_001 }), count: 1 };
    const sockets = new ActivatedSockets(driver, [{ fd: open('127.9.9.9', 22_001), mapping: own }]);
    const foreign = open('127.9.9.10', 22_004);
    const withSockets = new PortReservations(driver, sockets);
    try {
      const message = (hostIP: string) =>
        withSockets.reserve('range', [mappingOf({ ...range, hostIP })]).then(
          () => 'no error',
          (error: Error) => error.message,
        );
      assert.match(await message('0.0.0.0'), /:22001: .*; hint: systemd has opened 127\.9\.9\.9:22001 for the stack/);
      const other = await message('127.9.9.10');
      assert.match(other, /127\.9\.9\.10:22004: bind: address already in use/);
      assert.doesNotMatch(other, /systemd/);
    } finally {
      await withSockets.close();
      sockets.close();
      native().closeFd(foreign);
    }
  });

  it('are refused, with nothing left open, if the range has no free one left', async () => {
    const few = { ...free, hostPortEnd: free.hostPort + 3 };
    await assert.rejects(
      reserve(
        'five',
        Array.from({ length: 5 }, () => few),
      ),
      (error) => error instanceof PortBindError && error.errno === 'EADDRINUSE',
    );
    // They are free again.
    assert.equal((await reserve('four', [few, few, few, few])).length, 4);
  });

  it('are given up if the stack ends meanwhile', async () => {
    const reserving = reserve('late', [
      { ...free, hostPort: 0, hostPortEnd: undefined, count: 2000, containerPort: 1 },
    ]);
    const refused = assert.rejects(reserving, PortError);
    await ports.close();
    await refused;
    assert.deepEqual(ports.owners(), []);
  });
});
