import type { Locator, Page } from 'playwright-core';
import { en } from '../../console/src/i18n/en.ts';
import { hasBrowser } from '../../test/support/browser.ts';
import { ACT_TOKEN, askConsole, CONSOLE_ENV, consoleUrl } from '../../test/support/console-api.ts';
import { eventually } from '../../test/support/eventually.ts';
import { floodLetters, HOT_USER } from '../../test/support/letter-flood.ts';
import { costBetween } from '../measure/server-info.ts';
import type { Bench } from '../stage/bench.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { onStage, type Stage } from '../stage/stage.ts';
import { openViewers } from '../stage/viewers.ts';
import { NO_BROWSER } from './console.ts';

const LETTERS = '/api/dead-letters';
const DAY_MS = 86_400_000;

/** The console over many dead letters. test/redis/console-letters.test.ts asserts the same counts with few. */
export const consoleLetters: Bench = {
  name: 'console-letters',
  about: 'requests of the console, and its page, over 100,000 dead letters (a million with --full)',
  runs: 1,
  async run(context) {
    const count = context.quick ? 20_000 : context.full ? 1_000_000 : 100_000;
    const figures = createFigures();
    const problems = await onStage(
      context,
      { env: { IMSYNC_REDIS_ALLOW_VOLATILE: 'true' } },
      async (stage) => {
        // What is read is measured: the file of a million letters would only take time.
        await stage.redis.config('SET', 'appendonly', 'no');
        const startedMs = performance.now();
        await floodLetters(stage.redis, stage.keys, count);
        context.say(`${count} letters written in ${Math.round((performance.now() - startedMs) / 1_000)} s`);
        const base = await consoleUrl(await stage.startWorker(CONSOLE_ENV));
        const wrong = await playRequests(stage, base, figures, count);
        if (hasBrowser) await playPage(base, figures);
        else context.say(NO_BROWSER);
        return wrong;
      },
    );
    return { rows: figures.rows(), problems };
  },
};

interface Request {
  readonly what: string;
  readonly path: string;
  readonly body?: object;
  /** Commands that it may cost, those within scripts and what the worker sends by itself meanwhile included. */
  readonly most: number;
}

function requestsOf(cursor: string, eventId: string): readonly Request[] {
  const page = `${LETTERS}?limit=25`;
  const old = { olderThanMs: 29 * DAY_MS };
  return [
    { what: 'first page', path: page, most: 120 },
    { what: 'next page', path: `${page}&cursor=${cursor}`, most: 120 },
    { what: 'page of a reason', path: `${page}&reason=profile`, most: 120 },
    { what: 'page of a code', path: `${page}&code=71234`, most: 120 },
    { what: 'page of a user', path: `${page}&user=${HOT_USER}`, most: 120 },
    { what: 'page of an age', path: `${page}&newerThanMs=${DAY_MS}`, most: 120 },
    {
      what: 'page of a reason and an age',
      path: `${page}&reason=expired&olderThanMs=${29 * DAY_MS}`,
      most: 300,
    },
    {
      what: 'page of a user and a code that never meet',
      path: `${page}&user=${HOT_USER}&code=1`,
      most: 1_100,
    },
    { what: 'groups', path: `${LETTERS}/groups`, most: 150 },
    { what: 'one letter', path: `${LETTERS}/${eventId}`, most: 120 },
    { what: 'one user', path: `/api/users/${HOT_USER}`, most: 600 },
    { what: 'dry run of all', path: `${LETTERS}/redrive`, body: { all: true, dryRun: true }, most: 60_000 },
    {
      what: 'dry run of a few',
      path: `${LETTERS}/redrive`,
      body: { filter: old, dryRun: true },
      most: 60_000,
    },
    {
      what: 'deletion of a part',
      path: `${LETTERS}/delete`,
      body: { filter: { reason: 'unknown' } },
      most: 130_000,
    },
  ];
}

/** Sentences for requests that cost more than they may. */
async function playRequests(stage: Stage, base: string, figures: Figures, count: number): Promise<string[]> {
  const problems: string[] = [];
  const { redis } = stage;
  const ask = (path: string, body?: object) =>
    askConsole(base, path, { token: ACT_TOKEN, ...(body !== undefined && { body }) });
  // Its connection to Redis may still be opening.
  const first = await eventually('the console answers', async () => {
    const { status, json, text } = await ask(`${LETTERS}?limit=25`);
    if (status !== 200) throw new Error(text);
    return json;
  });
  await redis.config('SET', 'slowlog-log-slower-than', '1000');
  let slowestMs = 0;
  for (const { what, path, body, most } of requestsOf(first.next, first.letters[0].eventId)) {
    await redis.slowlog('RESET');
    const [before, cpuBefore] = [await stage.serverCost(), stage.workerCpuMicros()];
    const startedMs = performance.now();
    const answer = await ask(path, body);
    const ms = Math.round(performance.now() - startedMs);
    const { commands, cpuMicros } = costBetween(before, await stage.serverCost());
    const cpu = `${Math.round((stage.workerCpuMicros() - cpuBefore) / 1_000)} ms of the worker's CPU`;
    const note = `${ms} ms, ${cpu}, ${Math.round(cpuMicros / 1_000)} ms of Redis's`;
    figures.add(
      { what: `${what}: Redis commands`, unit: 'commands', target: { atMost: most }, note },
      commands,
    );
    const slow = (await redis.slowlog('GET', '-1')) as [number, number, number, string[]][];
    slowestMs = Math.max(slowestMs, ...slow.map(([, , micros]) => micros / 1_000));
    if (answer.status !== 200) problems.push(`${what}: ${answer.status} ${answer.text.slice(0, 200)}`);
    if (commands > most) problems.push(`${what} cost ${commands} commands with ${count} letters`);
  }
  figures.add({ what: 'longest script or command', unit: 'ms', note: 'as the SLOWLOG has it' }, slowestMs);
  return problems;
}

const WATCH_TASKS = `globalThis.longest = 0; new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
}).observe({ type: 'longtask' })`;

/** Goes through the dead letters as an operator does. */
async function playPage(base: string, figures: Figures): Promise<void> {
  const viewers = await openViewers(base);
  try {
    const [page] = await viewers.open(1);
    if (page === undefined) return;
    await page.evaluate(WATCH_TASKS);
    const dialog = page.getByRole('dialog');
    const rows = page.locator('section[aria-labelledby=letters-title] tbody tr');
    const steps: readonly (readonly [string, () => Promise<unknown>, Locator])[] = [
      ['the list', () => page.evaluate("location.hash = '#/dead-letters'"), rows.nth(24)],
      ['a group', () => page.getByRole('link', { name: /^Show .* rejected/ }).click(), rows.nth(24)],
      ['the next page', () => page.getByRole('link', { name: en['pager.next'] }).click(), rows.nth(24)],
      ['an age', () => page.getByLabel(en['filter.age']).selectOption({ index: 3 }), rows.nth(24)],
      ['a user', () => typeInto(page, en['filter.user'], HOT_USER), rows.getByText(HOT_USER).first()],
      [
        'a dry run',
        () => page.getByRole('button', { name: en['redrive.these'] }).click(),
        dialog.locator('.callout'),
      ],
      ['no redrive', () => page.keyboard.press('Escape'), rows.first()],
      ['a letter', () => rows.first().getByRole('link').click(), page.locator('dl.facts').first()],
    ];
    for (const [what, act, shown] of steps) {
      const startedMs = performance.now();
      await act();
      await shown.waitFor();
      await page.locator('.bone').first().waitFor({ state: 'detached' });
      figures.add({ what: `page, ${what}: until it is shown`, unit: 'ms' }, performance.now() - startedMs);
    }
    await page.evaluate("location.hash = '#/dead-letters'");
    const startedMs = performance.now();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: en['letters.export'] }).click();
    await (await download).cancel();
    figures.add({ what: 'page, an export: until it begins', unit: 'ms' }, performance.now() - startedMs);
    const longest = await page.evaluate<number>('longest');
    figures.add({ what: 'page, longest task of its thread', unit: 'ms', note: '0: none above 50' }, longest);
  } finally {
    await viewers.close();
  }
}

async function typeInto(page: Page, label: string, text: string): Promise<void> {
  await page.getByLabel(label).fill(text);
  await page.keyboard.press('Enter');
}
