import { expectSteps, hour, load, minute } from './policy.js';

const A = '93.184.216.34';
const allowed = (now: number) => [`decide tcp ${A} 22 ${now}`, 'allow 0'] as const;
const denied = (now: number) => [`decide tcp ${A} 22 ${now}`, 'deny -1'] as const;
const start = [load('allow a.example'), [`learn a.example 60 0 ${A}`]] as const;

describe('the names of an address', () => {
  it('end after their time to live and 5 minutes', async () => {
    await expectSteps(...start, [`names ${A} ${6 * minute - 1}`, ['a.example']], [`names ${A} ${6 * minute}`, []]);
    await expectSteps(...start, denied(6 * minute));
  });

  it('live half a minute at least, and a day at most', async () => {
    const least = 5.5 * minute;
    const most = 24 * hour + 5 * minute;
    await expectSteps(['learn a.example 0 0 1.1.1.1'], [`names 1.1.1.1 ${least - 1}`, ['a.example']]);
    await expectSteps(['learn a.example 0 0 1.1.1.1'], [`names 1.1.1.1 ${least}`, []]);
    await expectSteps(['learn a.example 4294967295 0 1.1.1.1'], [`names 1.1.1.1 ${most - 1}`, ['a.example']]);
    await expectSteps(['learn a.example 4294967295 0 1.1.1.1'], [`names 1.1.1.1 ${most}`, []]);
  });

  it('stay while they are used, a day without an answer at most', async () => {
    const uses = Array.from({ length: 24 * 15 }, (_, i) => allowed(i * 4 * minute));
    await expectSteps(...start, ...uses, denied(24 * hour + 5 * minute));
    await expectSteps(...start, allowed(5 * minute), allowed(10 * minute - 1), denied(15 * minute));
  });

  it('are learnt again, without a change to a shorter time', async () => {
    await expectSteps(
      [`learn a.example 3600 0 ${A}`],
      [`learn a.example 1 0 ${A}`],
      [`names ${A} ${hour}`, ['a.example']],
    );
  });

  it('stay while a connection is open, and 5 minutes after', async () => {
    await expectSteps(
      ...start,
      allowed(0),
      [`opened ${A}`],
      [`opened ${A}`],
      allowed(100 * hour),
      [`closed ${A} ${100 * hour}`],
      allowed(101 * hour),
      [`closed ${A} ${101 * hour}`],
      denied(101 * hour),
    );
    await expectSteps(
      ...start,
      [`opened ${A}`],
      [`closed ${A} ${hour}`],
      allowed(hour + 4 * minute),
      denied(hour + 20 * minute),
      [`closed ${A} ${hour}`],
      ['closed 1.1.1.1 0'],
    );
  });

  it('are several, the most recently used first', async () => {
    await expectSteps(
      load('allow b.example'),
      [`learn a.example 60 0 ${A}`],
      [`learn b.example 60 0 ${A}`],
      [`learn c.example 600 0 ::ffff:${A}`],
      [`names ${A} 0`, ['c.example', 'b.example', 'a.example']],
      allowed(0),
      [`names ${A} 0`, ['b.example', 'c.example', 'a.example']],
      [`names ${A} ${7 * minute}`, ['c.example']],
    );
  });

  it('are bounded for one address, and all together', async () => {
    const names = Array.from({ length: 70 }, (_, i) => [`learn n${i}.example 60 0 ${A}`] as const);
    await expectSteps(...names, [`names ${A} 0`, Array.from({ length: 64 }, (_, i) => `n${69 - i}.example`)]);
    const flood = Array.from({ length: 256 }, (_, i) => {
      const ips = Array.from({ length: 64 }, (_, k) => `11.0.${i}.${k}`);
      return [`learn n${i}.example 60 0 ${ips.join(' ')}`] as const;
    });
    await expectSteps(
      ['learn used.example 60 0 1.1.1.1'],
      ['learn open.example 60 0 1.0.0.1'],
      ['opened 1.0.0.1'],
      ['learn old.example 60 0 8.8.8.8'],
      ...flood.slice(0, 255),
      ['learn used.example 60 0 1.1.1.1'],
      ...flood.slice(255),
      ['names 8.8.8.8 0', []],
      ['names 1.1.1.1 0', ['used.example']],
      ['names 1.0.0.1 0', ['open.example']],
      ['names 11.0.255.63 0', ['n255.example']],
    );
  });
});
