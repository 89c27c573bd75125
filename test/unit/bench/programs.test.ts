import assert from 'node:assert/strict';
import { parseIperf3 } from '../../../bench/programs/iperf3.js';
import { parseConnections, parseDatagrams, parseHeld, parsePings, parseStreams } from '../../../bench/programs/load.js';
import { parseDnsperf, parseRedis, parseWrk } from '../../../bench/programs/servers.js';

describe('the figures of', () => {
  it('iperf3, and its errors', () => {
    const end = {
      sum_received: { bits_per_second: 2e9, bytes: 500 },
      sender_tcp_congestion: 'reno',
      receiver_tcp_congestion: 'bbr',
    };
    assert.deepEqual(parseIperf3(JSON.stringify({ end })), {
      values: { rate: 2 },
      details: { bytes: 500, senderCongestion: 'reno', receiverCongestion: 'bbr' },
    });
    assert.throws(() => parseIperf3('{"error":"unable to connect","end":{}}'), /unable to connect/);
  });

  it('new connections, of which some were stuck, or failed', () => {
    const load = (change: Record<string, number>, concurrency = 32) => {
      const latencies = { p50_us: 100.5, p99_us: 200, quantiles_us: { 0: 90, 50: 100.5, 100: 300 } };
      const output = { connections: 1000, errors: 0, rate: 1000, in_flight: 31, ...latencies, ...change };
      return parseConnections(JSON.stringify(output), concurrency);
    };
    assert.deepEqual(load({}).values, { rate: 1000, p50: 100.5, p99: 200 });
    assert.deepEqual(load({}).quantiles, { 0: 90, 50: 100.5, 100: 300 });
    assert.equal(load({}).caveat, undefined);
    assert.match(load({ in_flight: 1.8 }).caveat ?? '', /only 1\.8 of 32/);
    assert.equal(load({ in_flight: 0.5 }, 1).caveat, undefined);
    assert.match(load({ errors: 11 }).caveat ?? '', /11 attempts failed/);
    assert.throws(() => load({ rate: 0 }), /no connection/);
  });

  it('streams, pings, idle connections and datagrams', () => {
    assert.deepEqual(parseStreams('{"streams":4,"bytes":500,"seconds":1,"gbits":40.5}'), {
      values: { rate: 40.5 },
      details: { bytes: 500 },
    });
    assert.deepEqual(parsePings('{"pings":2,"p50_us":5.4,"p99_us":12.1,"quantiles_us":{"50":5.4}}'), {
      values: { p50: 5.4, p99: 12.1 },
      quantiles: { 50: 5.4 },
    });
    assert.equal(parseHeld('{"tried":9500,"held":3311,"failed":2,"seconds":1}\n'), 3311);
    const flood = { sent: 200, received: 50, seconds: 1, rate: 50, lost: 0.75 };
    assert.deepEqual(parseDatagrams(JSON.stringify(flood)), {
      values: { rate: 50, lost: 75 },
      details: { sent: 200, datagrams: 50 },
    });
    assert.throws(() => parseDatagrams(JSON.stringify({ ...flood, rate: 0 })), /no datagram/);
  });

  it('wrk, in any unit, and its errors', () => {
    const output = [
      'Running 1s test @ http://127.0.0.1:15201/',
      '  Latency Distribution',
      '     50%  720.00us',
      '     99%    1.50ms',
      '  41234 requests in 1.10s, 9.99MB read',
      'Requests/sec:  37485.12',
    ];
    assert.deepEqual(parseWrk(output.join('\n')), { values: { rate: 37485.12, p50: 720, p99: 1500 } });
    const spoilt = [...output, '  Socket errors: connect 0, read 5, write 0, timeout 0'].join('\n');
    assert.equal(parseWrk(spoilt).caveat, 'connect 0, read 5, write 0, timeout 0');
    const few = output.join('\n').replace('720.00us', '50.00us');
    assert.match(parseWrk(few).caveat ?? '', /only about 2 of 32 connections were moving/);
    assert.throws(() => parseWrk('Requests/sec:      0.00'), /no request/);
  });

  it('redis-benchmark, newer and older', () => {
    const header = '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms"';
    assert.deepEqual(parseRedis(`${header}\n"GET","100000.00","0.2","0.1","0.183","0.3","0.399","1.0"\n`).values, {
      rate: 100_000,
      p50: 183,
      p99: 399,
    });
    assert.deepEqual(parseRedis('"GET","90000.50"\n').values, { rate: 90_000.5 });
    assert.throws(() => parseRedis('Could not connect'), /Could not connect/);
  });

  it('dnsperf', () => {
    const output = '  Queries sent: 100\n  Queries lost:         1 (1.00%)\n\n  Queries per second:   54321.5\n';
    assert.deepEqual(parseDnsperf(output).values, { rate: 54_321.5, lost: 1 });
    assert.equal(parseDnsperf(`${output}  Queries completed:    99 (99.00%)\n`).details?.queries, 99);
    assert.throws(() => parseDnsperf('Queries per second:   0.000000'), /nothing was answered/);
  });
});
