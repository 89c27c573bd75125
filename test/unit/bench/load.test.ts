import assert from 'node:assert/strict';
import {
  loadClient,
  loadReady,
  loadServer,
  parseConnections,
  parseDatagrams,
  parseFlows,
  parseHeld,
  parseMixed,
  parsePings,
  parseStreams,
} from '../../../bench/programs/load.js';
import { freePort, repoRoot, run, type Started, start } from '../../support/index.js';

describe("the benchmark's load generator", () => {
  let port: number;
  const servers: Started[] = [];

  const serve = async (mode?: string) => {
    const [program = '', ...args] = loadServer(repoRoot, port, mode);
    servers.push(await start(program, args, { ready: { output: loadReady } }));
  };

  before(async () => {
    port = await freePort('127.0.0.1');
    await serve();
    await serve('udp-server');
  });

  after(async () => {
    for (const server of servers) await server.stop();
  });

  const client = async (mode: string, ...numbers: number[]) => {
    const [program = '', ...args] = loadClient(repoRoot, mode, { address: '127.0.0.1', port }, numbers);
    const { code, stdout, stderr } = await run(program, args);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  it('makes connections, so many at once', async () => {
    const { values, quantiles = {}, details } = parseConnections(await client('connections', 8, 0.2), 8);
    assert.ok((values.rate ?? 0) > 0);
    assert.equal(details?.errors, 0);
    assert.ok((quantiles['0'] ?? 0) <= (values.p50 ?? 0) && (values.p50 ?? 0) <= (quantiles['100'] ?? 0));
  });

  it('sends streams in threads, and reports what arrived', async () => {
    const { values, details } = parseStreams(await client('streams', 3, 0.2));
    assert.ok((values.rate ?? 0) > 0);
    assert.ok(Number(details?.bytes) > 0);
  });

  it('sends a byte there and back', async () => {
    const { values } = parsePings(await client('ping', 0.1));
    assert.ok((values.p50 ?? 0) > 0 && (values.p50 ?? 0) <= (values.p99 ?? 0));
  });

  it('floods with datagrams, and reports how many arrived', async () => {
    for (const size of [32, 1400]) {
      const { values, details } = parseDatagrams(await client('udp-flood', size, 0.1));
      assert.ok((values.rate ?? 0) > 0);
      assert.ok(Number(details?.datagrams) <= Number(details?.sent));
    }
  });

  it('opens small connections beside streams', async () => {
    const { values, details } = parseMixed(await client('mixed', 2, 0.2));
    assert.ok((values.rate ?? 0) > 0 && Number(details?.bytes) > 0);
    assert.ok(Number(details?.connects) > 0 && Number(details?.pings) >= Number(details?.connects));
    assert.ok(
      (values.p50 ?? 0) > 0 && (values.p50 ?? 0) <= (values.p99 ?? 0) && (values.p99 ?? 0) <= (values.p999 ?? 0),
    );
    assert.ok((values.connect ?? 0) > 0);
  });

  it('sends datagrams there and back from many clients', async () => {
    for (const count of [3, 200]) {
      const { values, details, caveat } = parseFlows(await client('udp-flows', count, 0.2));
      assert.ok((values.rate ?? 0) > 0 && (values.first ?? 0) > 0);
      assert.equal(details?.clients, count);
      assert.equal(caveat, undefined);
    }
  });

  it('reports the clock that programs measure by', async () => {
    const [program = ''] = loadServer(repoRoot, port);
    const before = process.hrtime.bigint();
    const { stdout } = await run(program, ['now']);
    assert.ok(before < BigInt(stdout) && BigInt(stdout) < process.hrtime.bigint());
  });

  it('holds connections until it is ended', async () => {
    const [program = '', ...args] = loadClient(repoRoot, 'hold', { address: '127.0.0.1', port }, [50]);
    await using holder = await start(program, args, { ready: { output: /}\n$/ } });
    assert.equal(parseHeld(holder.output()), 50);
  });

  it('does not count as held what is refused', async () => {
    const refused = await freePort('127.0.0.1');
    const [program = '', ...args] = loadClient(repoRoot, 'hold', { address: '127.0.0.1', port: refused }, [50]);
    await using holder = await start(program, args, { ready: { output: /}\n$/ } });
    assert.equal(parseHeld(holder.output()), 0);
  });

  it('refuses what it does not understand', async () => {
    for (const wrong of [
      [],
      ['ping', '127.0.0.1'],
      ['ping', 'localhost', '1', '1'],
      ['streams', '127.0.0.1', '1', '0', '1'],
    ]) {
      const [program = ''] = loadServer(repoRoot, port);
      const { code, stderr } = await run(program, wrong);
      assert.equal(code, 2, wrong.join(' '));
      assert.match(stderr, /^usage: bench_load/);
    }
  });
});
