import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeName, type Task } from '../../../bench/candidates/candidate.js';
import { makeCandidates, parsePeer } from '../../../bench/candidates/candidates.js';
import { findVersion } from '../../../bench/conditions.js';
import { outboundCandidates } from '../../../bench/measure/outbound.js';
import { parseOptions, UsageError } from '../../../bench/options.js';
import { goals } from '../../../bench/report/goals.js';
import { rows } from '../../../bench/rows.js';
import { tempDir } from '../../support/index.js';

describe("the benchmark's options", () => {
  it('are known, and direct is always measured', () => {
    const args = ['udp', 'tcp', '--peers', 'pasta', '--rounds', '2', '--json', 'f', '--plot', 'd', '--long'];
    const { known, ...options } = parseOptions(args);
    assert.deepEqual(Object.keys(known), Object.keys(makeCandidates()));
    assert.deepEqual(options, {
      words: args,
      rows: ['tcp', 'udp'],
      named: true,
      candidates: ['direct', 'pasta'],
      rounds: 2,
      seconds: 3,
      long: true,
      write: false,
      json: 'f',
      plot: 'd',
    });
  });

  it('mean all rows and all candidates unless some are named', () => {
    const { rows: asked, named, candidates: names, long } = parseOptions([]);
    assert.deepEqual(asked, Object.keys(rows));
    assert.deepEqual(names, Object.keys(makeCandidates()));
    assert.deepEqual([named, long], [false, false]);
  });

  it('are refused if they make no sense', () => {
    for (const wrong of [
      ...[['nonsense'], ['--peers', 'nobody'], ['--rounds', '0'], ['--rounds', '1.5'], ['--foo']],
      ...[
        ['--peer', 'pasta'],
        ['--peer', 'direct=/bin/sh'],
        ['--peer', 'A_b=/bin/sh'],
        ['--peer', 'pasta=/no/such'],
      ],
    ]) {
      assert.throws(() => parseOptions(wrong), UsageError, wrong.join(' '));
    }
  });
});

describe("the benchmark's peers", () => {
  const task: Task = {
    ...{ server: (port: number) => ['serve', String(port)], protocol: 'tcp' as const, address: '127.0.0.1', port: 1 },
    ...{ morePorts: [], congestion: undefined, directory: '/d', root: '/r' },
  };
  let directory: string;
  const place = (name: string, text = '#!/bin/sh\n') => {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o755 });
    return path;
  };

  beforeEach(() => {
    directory = tempDir();
  });

  it('can be programs elsewhere, which take the place of the installed ones of their name', () => {
    const path = place('rk3');
    const { known } = parseOptions(['--peer', `rootlesskit=${path}`]);
    assert.deepEqual(Object.keys(known), Object.keys(makeCandidates()));
    assert.equal(known.rootlesskit?.command(task)[0], path);
    assert.deepEqual(known.rootlesskit?.start?.('/r').network[0], path);
  });

  it('have the kind that their name or their file begins with', () => {
    const kinds = (name: string, file: string) => makeCandidates([parsePeer(`${name}=${place(file)}`)])[name];
    assert.equal(kinds('pasta-new', 'program')?.description, makeCandidates().pasta?.description);
    assert.equal(kinds('newest', 'pasta.avx2')?.description, makeCandidates().pasta?.description);
    const slirp = kinds('slirp4netns-new', 'slirp4netns')?.command(task) ?? [];
    assert(slirp.includes(`--slirp4netns-binary=${join(directory, 'slirp4netns')}`), slirp.join(' '));
    const rootlesskit = kinds('slirp4netns', 'rootlesskit')?.command(task) ?? [];
    assert.equal(rootlesskit[0], join(directory, 'rootlesskit'));
    assert(rootlesskit.includes('--port-driver=slirp4netns'), rootlesskit.join(' '));
    assert.throws(() => kinds('other', 'program'), /neither other nor program begins with/);
  });

  it('can be other checkouts of this package, which come before this one', () => {
    place('older/dist/bin/rootless-run');
    const older = join(directory, 'older');
    const { known, candidates } = parseOptions(['--peer', `before=${older}`, '--peers', 'before,rootless-run']);
    assert.deepEqual(candidates, ['direct', 'before', 'rootless-run']);
    assert.equal(known.before?.root, older);
    assert.equal(known.before?.peer, undefined);
    mkdirSync(join(directory, 'empty'));
    assert.throws(() => parseOptions(['--peer', `before=${join(directory, 'empty')}`]), /nor a built checkout/);
  });

  it('get the option for clients on loopback where they know it', () => {
    const pasta = (text: string, name: string) => {
      const path = place(name, `#!/bin/sh\necho '${text}'\n`);
      return makeCandidates([parsePeer(`pasta=${path}`)])
        .pasta?.command(task)
        .includes('--host-lo-to-ns-lo');
    };
    assert.equal(pasta('  --host-lo-to-ns-lo  translate', 'new'), true);
    assert.equal(pasta('  --config-net', 'old'), false);
  });
});

describe("the benchmark's outbound rows", () => {
  const task: Task = {
    ...{ server: () => ['serve'], protocol: 'tcp' as const, address: '127.0.0.1', port: 1 },
    ...{ morePorts: [], congestion: 'reno', directory: '/d', root: '/r' },
  };

  it('compare the network drivers of this package, each with its own program', () => {
    const all = outboundCandidates(makeCandidates([{ name: 'slirp4netns-new', path: '/bin/true' }]));
    const named = Object.keys(all);
    assert.deepEqual(named, ['direct', 'rootless-run', 'slirp4netns', 'pasta', 'slirp4netns-new']);
    assert.deepEqual(all.direct?.command(task), ['serve']);
    for (const [name, driver] of [
      ['rootless-run', 'builtin'],
      ['slirp4netns', 'slirp4netns'],
      ['pasta', 'pasta'],
    ] as const) {
      const command = all[name]?.command(task) ?? [];
      assert.deepEqual(command.slice(0, 2), ['/r/dist/bin/rootless-run', `--net=${driver}`]);
      assert.equal(command.at(-1), 'serve');
      assert(!command.includes('-p'), command.join(' '));
    }
    assert(all['slirp4netns-new']?.command(task).includes('--slirp4netns-binary=/bin/true'));
    assert.deepEqual(all.slirp4netns?.programs, ['slirp4netns']);
  });
});

describe("the benchmark's goals", () => {
  it('are about columns that rows have', () => {
    for (const [row, columns] of Object.entries(goals)) {
      for (const column of Object.keys(columns)) assert(rows[row]?.columns[column], `${row} has no ${column}`);
    }
  });

  it('compare with candidates and columns that exist', () => {
    const known = [...Object.keys(makeCandidates()), 'node', 'runc', 'wireguard', beforeName];
    for (const [row, columns] of Object.entries(goals)) {
      for (const goal of Object.values(columns).flat()) {
        if ('than' in goal) assert(known.includes(goal.than), goal.than);
        if ('thanColumn' in goal) assert(rows[row]?.columns[goal.thanColumn], `${row} has no ${goal.thanColumn}`);
      }
    }
  });
});

describe("the benchmark's versions", () => {
  it('are read, and another number is rejected', () => {
    assert.equal(findVersion('iperf 3.12 (cJSON 1.7.15)\nLinux vm 6.18'), '3.12');
    assert.equal(findVersion('rootlesskit version 1.1.0\n'), '1.1.0');
    assert.equal(findVersion('redis-benchmark 7.0.15\n'), '7.0.15');
    assert.equal(findVersion('socat by Gerhard Rieger\nsocat version 1.7.4.4 on 06 Nov 2022'), '1.7.4.4');
    assert.equal(findVersion('pasta unknown version\nCopyright Red Hat\nGNU GPL version 2 or later'), undefined);
  });
});
