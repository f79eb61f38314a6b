import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import GithubSlugger from 'github-slugger';
import { parse } from 'yaml';
import { build } from '../../scripts/kustomize.js';
import { VERDICT_TABLES } from '../../src/im/verdict-rows.ts';
import { HOLD_ADVICE } from '../../src/logging/hold-log.ts';
import { describeWithDatabases } from '../support/database-user.ts';
import { alertScenes } from '../support/runbook/alert-scenes.ts';
import { type Entry, entriesOf } from '../support/runbook/entries.ts';
import { holdScenes } from '../support/runbook/hold-scenes.ts';
import { redisScenes } from '../support/runbook/redis-scenes.ts';
import { endDatabase, relayScenes } from '../support/runbook/relay-scenes.ts';
import { type Scene, type Scenery, setScene } from '../support/runbook/scene.ts';

/**
 * Every command of docs/runbook.md is run on a real worker, Redis and simulator in the state that its entry is about, and shows
 * what the entry says. What cannot be run here is listed in NOT_RUN with the reason, and its names are compared with deploy/.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const english = entriesOf('docs/runbook.md');
const chinese = entriesOf('docs/zh-CN/runbook.md');
const scenes: Readonly<Record<string, Scene>> = {
  ...{ ...redisScenes, ...holdScenes, ...alertScenes },
  ...relayScenes,
};

/** Names that a command must use, from the files that it is about. */
const unitOf = (): string =>
  readdirSync(join(root, 'deploy')).filter((name) => name.endsWith('.service'))[0] ?? '';
const [deployment] = build(join(root, 'deploy/kustomize/overlays/production')).filter(
  ({ kind }) => kind === 'Deployment',
);
const inKubernetes = `kubectl --namespace ${deployment?.metadata.namespace} `;
const services = Object.keys(parse(read('docker-compose.yml')).services);

/** A reason, and what the command must be according to deploy/. The command after `--` or the service is run in other entries. */
const NOT_RUN: readonly (readonly [entry: string, command: string, reason: string, fits: () => string])[] = [
  [
    'Runbook',
    'docker compose exec worker imsync status',
    'there is no container engine',
    () => `docker compose exec ${services.find((name) => name === 'worker')} ${nameInImage()} status`,
  ],
  [
    'Runbook',
    'docker compose logs worker',
    'there is no container engine',
    () => `docker compose logs ${services.find((name) => name === 'worker')}`,
  ],
  [
    'Runbook',
    'kubectl --namespace imsync exec deploy/imsync-worker -- imsync status',
    'there is no cluster',
    () => `${inKubernetes}exec deploy/${deployment?.metadata.name} -- ${nameInImage()} status`,
  ],
  [
    'Runbook',
    'kubectl --namespace imsync logs deploy/imsync-worker',
    'there is no cluster',
    () => `${inKubernetes}logs deploy/${deployment?.metadata.name}`,
  ],
  [
    'Runbook',
    'journalctl -u imsync',
    'systemd does not run as the first process',
    () => `journalctl -u ${unitOf().replace('.service', '')}`,
  ],
  [
    'credentials',
    'systemctl restart imsync',
    'systemd does not run as the first process',
    () => `systemctl restart ${unitOf().replace('.service', '')}`,
  ],
];

/** The image links this name to the command. */
function nameInImage(): string | undefined {
  return /ln -s \/app\/dist\/cli\.js \/usr\/local\/bin\/(\S+)/.exec(read('Dockerfile'))?.[1];
}

const pairs = (entries: readonly Entry[]): string[] =>
  entries.flatMap(({ title, commands }) => commands.map((command) => `${title}: ${command}`)).sort();

describe('the page', () => {
  test('each command is run in its entry, or is listed with a reason', () => {
    const run = Object.entries(scenes).flatMap(([title, { commands }]) =>
      Object.keys(commands).map((command) => `${title}: ${command}`),
    );
    const listed = NOT_RUN.map(([title, command]) => `${title}: ${command}`);
    expect([...run, ...listed].sort()).toEqual(pairs(english));
    expect(run.length).toBeGreaterThan(40);
    // A command is added to this list by changing this number, so never by the way.
    expect(listed).toHaveLength(6);
  });

  test.each(NOT_RUN)('%s: `%s` has the names of deploy/ (not run: %s)', (_, command, __, fits) => {
    expect(fits()).toBe(command);
  });

  test('the paths of the systemd form are those of the unit', () => {
    const unit = read('deploy/imsync.service');
    expect(unit).toMatch(/^EnvironmentFile=\/etc\/imsync\/imsync\.env$/m);
    expect(unit).toMatch(/^LoadCredential=sdk-secret-key:\/etc\/imsync\/sdk-secret-key$/m);
    // npm puts commands of a global package beside lib.
    expect(unit).toContain('npm install --global --prefix /opt/imsync ');
    expect(unit).toContain(' /opt/imsync/lib/node_modules/im-account-sync/dist/cli.js worker');
    expect(JSON.parse(read('package.json')).bin).toEqual({ imsync: 'dist/cli.js' });
  });

  test('the Chinese page has the same commands, entry by entry', () => {
    expect(chinese.map(({ level }) => level)).toEqual(english.map(({ level }) => level));
    const commandsOf = (entries: readonly Entry[]) => entries.map(({ commands }) => [...commands].sort());
    expect(commandsOf(chinese)).toEqual(commandsOf(english));
    const quotesOf = (entries: readonly Entry[]) => entries.map(({ quotes }) => [...quotes].sort());
    expect(quotesOf(chinese)).toEqual(quotesOf(english));
  });

  const below = (entries: readonly Entry[], head: number): Entry[] => {
    const heads = entries.flatMap(({ level }, i) => (level === 2 ? [i] : []));
    return entries.slice((heads[head] ?? 0) + 1, heads[head + 1]);
  };
  const [needed, neededChinese] = [
    ['Means', 'Users notice', 'Look at', 'Do', 'Over when'],
    ['含义', '用户感受', '看什么', '做什么', '何时结束'],
  ];
  test.each([
    ['English', english, needed, 'Do not'],
    ['Chinese', chinese, neededChinese, '不要'],
  ] as const)(
    '%s: each entry says what it means, what users notice, where to look, what to do, when it is over',
    (_, page, fields, last) => {
      // What users notice in a hold is the same in all, and stands above them.
      const inHolds = fields.filter((_field, i) => i !== 1);
      for (const [head, order] of [inHolds, fields, fields].entries())
        for (const entry of below(page, head))
          expect([entry.title, entry.fields.filter((field) => field !== last)]).toEqual([entry.title, order]);
      expect(page.find(({ title }) => ['Holds', '暂缓'].includes(title))?.text).toContain(`**${fields[1]}`);
    },
  );

  test('each alert leads to an entry by its runbook_url, and each entry has an alert', () => {
    const { groups } = parse(read('deploy/prometheus-alerts.yml'));
    const alerts = groups
      .flatMap(({ rules }: { rules: Alert[] }) => rules)
      .filter(({ alert }: Alert) => alert !== undefined);
    expect(alerts.length).toBeGreaterThan(15);
    for (const page of [english, chinese]) {
      const slugger = new GithubSlugger();
      const anchors = new Map(page.map((entry) => [slugger.slug(entry.title), entry]));
      const named = alerts.map(({ alert, annotations }: Alert) => {
        const [file, anchor = ''] = String(annotations?.runbook_url).split('#');
        expect([alert, file]).toEqual([alert, 'docs/runbook.md']);
        // All holds have one alert.
        if (alert === 'ImsyncHeld') {
          expect(anchor).toBe('holds');
          expect(page.find(({ title }) => ['Holds', '暂缓'].includes(title))?.text).toContain('`ImsyncHeld`');
          return [];
        }
        expect([alert, anchors.get(anchor)?.title]).toEqual([alert, alert]);
        return [alert];
      });
      expect(
        below(page, 1)
          .map(({ title }) => title)
          .sort(),
      ).toEqual(named.flat().sort());
    }
  });

  interface Alert {
    readonly alert?: string;
    readonly annotations?: { readonly runbook_url?: string };
  }

  test('each kind of hold has its entry, and each entry is a kind', () => {
    // Each kind has its advice: its type demands it.
    const kinds = Object.keys(HOLD_ADVICE).sort();
    const ofCodes = Object.values(VERDICT_TABLES).flatMap((rows) =>
      rows.flatMap(({ holdKind }) => holdKind ?? []),
    );
    expect(kinds).toEqual(expect.arrayContaining([...new Set(ofCodes), 'proxy', 'outage', 'brake']));
    for (const page of [english, chinese])
      expect(
        below(page, 0)
          .map(({ title }) => title)
          .sort(),
      ).toEqual(kinds);
    // A code that an entry names is of that kind.
    for (const { title, text } of below(english, 0))
      for (const [, codes = ''] of text.matchAll(/\((\d{5}[\d, …]*)\)/g))
        for (const code of codes.match(/\d{5}/g) ?? []) {
          const kindsOfCode = Object.values(VERDICT_TABLES).flatMap((rows) =>
            rows.filter((row) => row.codes.includes(Number(code))).map(({ holdKind }) => holdKind),
          );
          expect([code, [...new Set(kindsOfCode)]]).toEqual([code, [title]]);
        }
  });

  test('each sentence of /readyz is in the table, and the table has no other', () => {
    const sources = ['src/redis/requirements.ts', 'src/ops/server.ts']
      .map(read)
      .join('\n')
      .split('/** What to do about a Redis')[0];
    // A relay says the same of itself.
    const told = `${sources}\n${read('src/ops/server.ts')}\n${read('src/worker/relay.ts')}`.replace(
      /The \$\{what\}/g,
      'The worker',
    );
    const sentences = [
      ...told.matchAll(/['`]((?:Redis|The worker|The database) (?:[^'`\n$]|\$\{[^}]*\})+)['`]/g),
    ].map(([, sentence = '']) =>
      sentence.replace(/\$\{PATIENCE_MS\}/, '1500').replace(/\$\{version[^}]*\}/, '6.0'),
    );
    expect(sentences.length).toBeGreaterThan(12);
    for (const page of [english, chinese]) {
      const table = page.at(-1)?.text.matchAll(/^\| `([^`]+)`/gm) ?? [];
      const begins = [...table].map(([, begin = '']) => begin);
      expect(sentences.filter((sentence) => !begins.some((begin) => sentence.startsWith(begin)))).toEqual([]);
      expect(begins.filter((begin) => !sentences.some((sentence) => sentence.startsWith(begin)))).toEqual([]);
    }
  });

  test('each loop that /livez may name is in its entry', () => {
    const [, ofCalls = ''] = /loops: \[([\s\S]*?)\n {4}\],/.exec(read('src/worker/calls.ts')) ?? [];
    const [ofRelay = ''] = /loops: \[.*\],/.exec(read('src/worker/relay.ts')) ?? [];
    const loops = ofCalls + ofRelay;
    const names = [...loops.matchAll(/name: ['`]([a-z ]+?) ?(?:'|\$)/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(5);
    for (const page of [english, chinese]) {
      const { text = '' } = page.at(-2) ?? {};
      expect(names.filter((name) => !text.includes(`\`${name}`))).toEqual([]);
    }
  });

  test('what is quoted from the log stands in the source', () => {
    const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => read(`src/${name}`))
      .join('\n');
    // The last two entries quote the worker's answers; other tests look at those.
    const quotes = english.slice(0, -2).flatMap(({ quotes: all }) => all);
    expect(quotes.length).toBeGreaterThan(8);
    expect(quotes.filter((quote) => !source.includes(quote))).toEqual([]);
  });
});

describe('in the state that the entry is about', () => {
  let set: Scenery;
  beforeEach(async () => {
    set = await setScene();
  }, 120_000);
  afterEach(() => set.end(), 60_000);

  const scene = async ({ cause, commands, mend }: Scene): Promise<void> => {
    await cause(set);
    for (const [command, { code = 0, shows, after }] of Object.entries(commands)) {
      const result = await set.run(command);
      expect({ command, ...result }).toMatchObject({ command, code });
      for (const pattern of shows)
        expect({ command, output: result.output }).toEqual({
          command,
          output: expect.stringMatching(pattern),
        });
      await after?.(set);
    }
    await mend?.(set);
  };

  test.each(Object.entries(scenes).filter(([title]) => !(title in relayScenes)))(
    '%s',
    (_, its) => scene(its),
    240_000,
  );

  describeWithDatabases('with a database', () => {
    afterAll(endDatabase, 60_000);
    test.each(Object.entries(relayScenes))('%s', (_, its) => scene(its), 240_000);
  });
});
