import assert from 'node:assert/strict';
import { formatRateLimit, parseRateLimit } from '../../../../protocol/egress/rate-limit.js';

const parse = (text: string) => parseRateLimit(text, '--limit');

describe('rate limits', () => {
  it('are bytes or bits a second, in powers of 1000 or 1024', () => {
    const rates: Record<string, number | undefined> = {
      '1000': 1000,
      '10M': 10_000_000,
      '10m': 10_000_000,
      '10MB/s': 10_000_000,
      '1.5MiB/s': 1_572_864,
      '1.5 MiB/s': 1_572_864,
      '64Ki': 65_536,
      '800kbit': 100_000,
      '1Gbit/s': 125_000_000,
      '8Mibit': 1_048_576,
      unlimited: undefined,
    };
    for (const [text, rate] of Object.entries(rates)) {
      const limit = parse(text);
      assert.deepEqual(limit, { outgoing: rate, incoming: rate }, text);
      assert.deepEqual(parse(formatRateLimit(limit)), limit);
    }
  });

  it('may differ by direction', () => {
    assert.deepEqual(parse('10M:1M'), { outgoing: 10_000_000, incoming: 1_000_000 });
    assert.deepEqual(parse('unlimited : 80kbit'), { outgoing: undefined, incoming: 10_000 });
    assert.equal(formatRateLimit(parse('10M:unlimited')), '10000000B/s:unlimited');
  });

  it('are refused in one line', () => {
    const form = 'RATE or RATE:RATE, such as 10M, 1.5MiB/s or unlimited:800kbit';
    const cases: Record<string, string> = {
      '': form,
      '10M:': form,
      '1M:1M:1M': form,
      '-1M': form,
      '1e9': form,
      '10T': form,
      '1,5M': form,
      fast: form,
      '10Mb': '10MB for bytes or 10Mbit for bits',
      '10Kib/s': '10KiB for bytes or 10Kibit for bits',
      '0': 'a rate from 1kB/s to 1000GB/s',
      '999': 'a rate from 1kB/s to 1000GB/s',
      '1001G': 'a rate from 1kB/s to 1000GB/s',
    };
    for (const [text, expected] of Object.entries(cases)) {
      assert.throws(() => parse(text), { message: `Invalid limit "${text}" (--limit): expected ${expected}` });
    }
  });
});
