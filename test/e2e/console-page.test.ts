import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Locator, Page } from 'playwright-core';
import { en } from '../../console/src/i18n/en.ts';
import { zh } from '../../console/src/i18n/zh.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import {
  hasBrowser,
  openBrowser,
  openPage,
  openTab,
  overflowOf,
  violationsOf,
  type WatchedPage,
} from '../support/browser.ts';
import { ACT_TOKEN, CONSOLE_ENV, consoleUrl, VIEW_TOKEN } from '../support/console-api.ts';
import { eventually } from '../support/eventually.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';

/** The console's page in a real Chromium, over a real worker, its Redis and the simulator. */

let stage: Stage;
let browser: Browser;
let base: string;
/** One who may act, signed in. */
let ann: WatchedPage;

const HOSTILE = '<img src=x onerror=alert(1)>\u202e';
const REFUSALS = {
  rules: [
    { match: { userIdPattern: '^forbidden' }, action: { accountCode: 70402, errorInfo: `no ${HOSTILE}` } },
    { match: { userIdPattern: '^flaky' }, action: { errorCode: 70500 } },
  ],
};

const bare = (token: string): string => token.replace(/^\w+:/, '');

async function signIn(page: Page, token: string, address = base): Promise<void> {
  await page.goto(address);
  await page.getByLabel(en['gate.token']).fill(bare(token));
  await page.keyboard.press('Enter');
  await page.getByRole('navigation', { name: en['nav.label'] }).waitFor();
}

/** Goes to a view of the page that is open, and waits until nothing is being loaded. */
async function show(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  await page.locator('h1').waitFor();
  await eventually(`${hash} is shown`, async () => (await page.locator('.bone').count()) === 0);
}

const button = (page: Page | Locator, name: string): Locator =>
  page.getByRole('button', { name, exact: true });

async function firstEventId(): Promise<string> {
  const [eventId = ''] = await stage.client.zrange(stage.keys.deadByTime, '0', '0');
  return eventId;
}

(hasBrowser ? describe : describe.skip)('in Chromium', () => {
  beforeAll(async () => {
    [stage, browser] = await Promise.all([setStage({ scenario: REFUSALS }), openBrowser()]);
    const worker = await stage.worker({ ...CONSOLE_ENV, IMSYNC_OUTCOMES: 'all' });
    base = `${await consoleUrl(worker)}/`;
    for (let i = 0; i < 8; i++) await stage.push({ userId: `forbidden${i}`, nick: `${HOSTILE}${i}` });
    await stage.push({ userId: 'alice', nick: 'Alice' });
    await stage.push({ userId: 'has blank', nick: 'Blank' });
    await drained(stage);
    ann = await openPage(browser);
    await signIn(ann.page, ACT_TOKEN);
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await stage?.end();
  }, 120_000);

  /** No page of these tests may have made trouble. */
  afterEach(() => expect(ann.troubles).toEqual([]));

  describe('signing in', () => {
    test('a wrong token says so; the right one leads to the address that was asked for', async () => {
      const viewer = await openPage(browser);
      await viewer.page.goto(`${base}#/activity`);
      await viewer.page.getByLabel(en['gate.token']).fill('wrong-token-0123456789');
      await viewer.page.keyboard.press('Enter');
      await viewer.page.getByText(en['error.wrong-token']).waitFor();
      expect(await violationsOf(viewer.page)).toEqual([]);
      await viewer.page.getByLabel(en['gate.token']).fill(bare(VIEW_TOKEN));
      // For half a second after a wrong token none is taken.
      const arrived = viewer.page.getByRole('heading', { name: en['nav.activity'], level: 1 });
      await eventually('the right one is taken', async () => {
        if (await arrived.isVisible()) return true;
        await viewer.page.keyboard.press('Enter');
        return false;
      });
      expect(viewer.troubles).toEqual([]);
      await viewer.page.context().close();
    });

    test('a link with a token of another person in it signs nobody in', async () => {
      const reader = await openPage(browser);
      await reader.page.goto(`${base}#token=${bare(ACT_TOKEN)}`);
      await reader.page.getByText(en['gate.badLink']).waitFor();
      expect(reader.page.url()).not.toContain('token');
      expect(reader.troubles).toEqual([]);
      await reader.page.context().close();
    });

    test('who signs out in one tab is out in the other, and comes back to where they were', async () => {
      const first = await openPage(browser);
      await signIn(first.page, ACT_TOKEN, `${base}#/settings`);
      const second = await openTab(first);
      await second.page.goto(`${base}#/activity`);
      await second.page.getByRole('heading', { name: en['nav.activity'], level: 1 }).waitFor();
      await button(first.page, en['viewer.leave']).click();
      await first.page.getByText(en['gate.left']).waitFor();
      await second.page.getByText(en['gate.ended']).waitFor();
      await second.page.getByLabel(en['gate.token']).fill(bare(ACT_TOKEN));
      await second.page.keyboard.press('Enter');
      await second.page.getByRole('heading', { name: en['nav.activity'], level: 1 }).waitFor();
      expect([...first.troubles, ...second.troubles]).toEqual([]);
      await first.page.context().close();
    });

    test('what comes over the wire for the first page is small', async () => {
      const viewer = await openPage(browser, { locale: 'zh-CN' });
      await viewer.page.goto(base);
      await viewer.page.getByLabel(zh['gate.token']).waitFor();
      const total = await eventually('all has come', () => {
        const assets = [...viewer.bytes].filter(([url]) => !url.includes('/api/'));
        return assets.length >= 5 && assets.reduce((sum, [, bytes]) => sum + bytes, 0);
      });
      expect(total).toBeGreaterThan(10_000);
      expect(total).toBeLessThan(100 * 1024);
      await viewer.page.context().close();
    });
  });

  const PAGES = [
    ['#/', 'nav.overview'],
    ['#/dead-letters', 'nav.letters'],
    ['#/dead-letters/EVENT', 'letter.title'],
    ['#/users/alice', 'nav.users'],
    ['#/activity', 'nav.activity'],
    ['#/settings', 'nav.settings'],
  ] as const;

  describe('every page', () => {
    test.each([
      { language: 'English', words: en, theme: 'light', width: 1440 },
      { language: '中文', words: zh, theme: 'dark', width: 360 },
    ] as const)(
      'in $language, $theme, $width px wide: nothing for axe, nothing cut off',
      async (look) => {
        const { page } = ann;
        const { words, width, language, theme } = look;
        await page.setViewportSize({ width, height: 800 });
        await page.getByRole('radio', { name: language, exact: true }).check();
        await page.getByRole('radio', { name: words[`theme.${theme}`], exact: true }).check();
        const eventId = await firstEventId();
        const found: Record<string, unknown> = {};
        for (const [hash, title] of PAGES) {
          await show(page, hash.replace('EVENT', eventId));
          if (title !== 'nav.overview')
            await page.getByRole('heading', { name: words[title], level: 1 }).waitFor();
          found[hash] = { violations: await violationsOf(page), overflow: await overflowOf(page) };
        }
        const clean = { violations: [], overflow: 0 };
        expect(found).toEqual(Object.fromEntries(PAGES.map(([hash]) => [hash, clean])));
        expect(await page.evaluate('document.documentElement.dataset.theme')).toBe(theme);
      },
      60_000,
    );

    test('what was chosen outlives a reload', async () => {
      const { page } = ann;
      await page.reload();
      await page.getByRole('heading', { name: zh['nav.settings'], level: 1 }).waitFor();
      expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.getByRole('radio', { name: 'English' }).check();
      await page.getByRole('heading', { name: en['nav.settings'], level: 1 }).waitFor();
    });
  });

  describe('acts', () => {
    test('a pause by somebody else does not turn the question of a pause into that of a resumption', async () => {
      const { page } = ann;
      await show(page, '#/');
      await button(page, en['pause.button']).click();
      await page.getByLabel(en['pause.reason']).fill('mine');
      await stage.verb(['pause', '--reason', 'theirs']);
      await page.getByText(/Paused since .*: theirs/).waitFor();
      await button(page.getByRole('dialog'), en['pause.do']).click();
      await page.getByText(en['pause.already']).waitFor();
      await button(page, en['resume.button']).click();
      await button(page.getByRole('dialog'), en['resume.do']).click();
      await button(page, en['pause.button']).waitFor();
    });

    test('a pause with its reason and its end, by the keyboard alone', async () => {
      const { page } = ann;
      await show(page, '#/');
      await button(page, en['pause.button']).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      // The button opens a dialog once the one before is gone.
      await page.locator('dialog').waitFor({ state: 'detached' });
      expect(await page.evaluate('document.activeElement.textContent')).toBe(en['pause.button']);
      await page.keyboard.press('Enter');
      // What is typed before the field has the focus goes nowhere.
      await page.locator('dialog :focus').waitFor();
      await page.keyboard.type(`a deploy ${HOSTILE}`);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: /^Paused since .*: a deploy <img/ }).waitFor();
      expect((await stage.verb(['status'])).stdout).toContain('a deploy');
      await button(page, en['resume.button']).focus();
      await page.keyboard.press('Enter');
      await page.locator('dialog :focus').waitFor();
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: /^(Running|Ready)/ }).waitFor();
      expect(await page.evaluate("document.activeElement.matches(':focus-visible')")).toBe(true);
    }, 120_000);

    test('dead letters by reason, by filter, one by one; the filter is the address', async () => {
      const { page } = ann;
      await show(page, '#/dead-letters');
      await page.getByRole('link', { name: 'Show 8 letters: rejected' }).click();
      await eventually('eight rows', async () => (await page.locator('tbody tr').count()) === 8);
      expect(page.url()).toContain('reason=rejected&code=70402');
      await page.getByLabel(en['filter.user']).fill('forbidden3');
      await page.keyboard.press('Enter');
      await eventually('one row', async () => (await page.locator('tbody tr').count()) === 1);
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: en['letters.export'] }).click(),
      ]);
      expect(await (await download.createReadStream()).toArray().then(String)).toContain(
        '"userId":"forbidden3"',
      );
      await page.locator('tbody a').click();
      await page.getByRole('heading', { name: en['letter.title'], exact: true }).waitFor();
      await page.locator('.facts dd').first().waitFor();
      // The API's words and the nick are text, with what turns them around shown.
      const shown = await page.locator('.facts dd').allInnerTexts();
      expect(shown).toContain(`${HOSTILE.slice(0, -1)}\\u{202e}3`);
      expect(shown.some((text) => text.startsWith('no <img src=x'))).toBe(true);
      await page.goBack();
      await eventually('the list as it was', async () => (await page.locator('tbody tr').count()) === 1);
    }, 120_000);

    test('a redrive: its dry run, its progress, its stop, and how it goes on', async () => {
      const { page } = ann;
      await show(page, '#/dead-letters?reason=rejected');
      stage.simulator.setFaults({});
      await button(page, en['redrive.these']).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('8 letters of 8 users').waitFor();
      await dialog.getByLabel(en['redrive.rate']).fill('1');
      expect(await violationsOf(page)).toEqual([]);
      await button(dialog, 'Redrive 8 letters').click();
      await page.getByRole('progressbar').waitFor();
      await button(page, en['redrives.stop']).click();
      await page.getByText(en['runState.interrupted'], { exact: true }).waitFor();
      await button(page, en['redrives.resume']).click();
      await dialog.getByText(en['redrive.dryRun']).waitFor();
      await dialog.getByLabel(en['redrive.rate']).fill('1000');
      await dialog.getByRole('button', { name: /^Redrive \d letters?$/ }).click();
      await page.getByText(en['runState.done'], { exact: true }).waitFor();
      await eventually('all are resolved', async () => {
        const { deadByReason } = await readTotals(stage.client, stage.keys);
        return deadByReason.rejected === undefined;
      });
    }, 120_000);

    test('a letter is deleted, once one has said that it is meant', async () => {
      const { page } = ann;
      await show(page, `#/dead-letters/${await firstEventId()}`);
      await button(page, en['delete.button']).click();
      const dialog = page.getByRole('dialog');
      expect(await button(dialog, en['delete.do']).isDisabled()).toBe(true);
      await dialog.getByLabel(en['delete.sure']).check();
      await button(dialog, en['delete.do']).click();
      await page.getByText('1 letter deleted.').waitFor();
      await page.getByText(en['groups.none']).waitFor();
      expect(await firstEventId()).toBe('');
    }, 120_000);

    test('a user is looked for, imported now, and forgotten', async () => {
      const { page } = ann;
      await show(page, '#/users');
      await page.getByLabel(en['users.id']).fill('zoe');
      await page.keyboard.press('Enter');
      await page.getByText(en['userState.missing']).waitFor();
      await button(page, en['import.button']).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel(en['import.nick']).fill(HOSTILE);
      await button(dialog, en['import.do']).click();
      await page.getByText(en['userState.imported']).waitFor();
      await page.getByText(en['outcome.imported'], { exact: true }).waitFor();
      await button(page, en['forget.button']).click();
      await dialog.getByText('outcomes: 1').waitFor();
      await dialog.getByLabel(en['forget.typed']).fill('zo');
      expect(await button(dialog, en['forget.do']).isDisabled()).toBe(true);
      await dialog.getByLabel(en['forget.typed']).fill('zoe');
      await button(dialog, en['forget.do']).click();
      await page.getByText(en['forget.done']).waitFor();
      await page.getByText(en['users.noHistory']).waitFor();
    }, 120_000);

    test('all of them stand in Activity, with the name of the token', async () => {
      const { page } = ann;
      await show(page, '#/activity');
      const rows = await page.locator('tbody tr').allInnerTexts();
      for (const what of ['pause', 'resume', 'export', 'redrive', 'delete', 'import', 'forget'] as const)
        expect(rows.some((row) => row.includes(en[`act.${what}`]) && row.includes('ann (console)'))).toBe(
          true,
        );
    });
  });

  describe('who may only look', () => {
    test('sees no control that acts, and no user', async () => {
      await stage.push({ userId: 'flaky-secret', nick: 'Secret nick' });
      await stage.push({ userId: 'has blank', nick: 'Secret nick' });
      await eventually('a dead letter', async () => (await firstEventId()) !== '');
      const viewer = await openPage(browser);
      const { page } = viewer;
      await signIn(page, VIEW_TOKEN);
      await page.getByText(en['viewer.masked']).waitFor();
      const texts: string[] = [];
      for (const hash of [
        '#/',
        '#/dead-letters',
        `#/dead-letters/${await firstEventId()}`,
        '#/users/alice',
      ]) {
        await show(page, hash);
        texts.push(await page.locator('main').innerText());
        for (const name of ['pause', 'redrive', 'delete', 'import', 'forget'] as const)
          expect(await button(page.locator('main'), en[`${name}.button`]).count()).toBe(0);
      }
      expect(texts.join('\n')).not.toMatch(/flaky-secret|Secret nick|has blank/);
      expect(texts.join('\n')).toContain('***');
      expect(viewer.troubles).toEqual([]);
      await page.context().close();
    }, 120_000);
  });

  describe('when things go wrong', () => {
    test('a hold is said in a sentence, with what to do, and its end is seen without a reload', async () => {
      const { page } = ann;
      await show(page, '#/');
      stage.simulator.setFaults({ rules: [{ action: { errorCode: 70003, errorInfo: 'UserSig is bad' } }] });
      await stage.push({ userId: 'bob', nick: 'Bob' });
      await page
        .getByRole('heading', { name: /^Held since .*: the API refuses our key \(70003\)/ })
        .waitFor();
      await page.getByText(en['holdAdvice.credentials']).waitFor();
      expect(await page.title()).toMatch(/^Held since/);
      expect(await violationsOf(page)).toEqual([]);
      stage.simulator.setFaults({});
      await page.getByRole('heading', { name: /^(Running|Ready|Catching up)/ }).waitFor();
    }, 120_000);

    test('nothing is asked for while the page is not seen', async () => {
      const viewer = await openPage(browser);
      const { page } = viewer;
      await page.clock.install();
      await page.addInitScript(
        "Object.defineProperty(document, 'hidden', { get: () => globalThis.isHidden === true })",
      );
      await signIn(page, ACT_TOKEN);
      let asked = 0;
      page.on('request', () => asked++);
      await page.clock.runFor(5_000);
      await eventually('it asks', () => asked > 2);
      await page.evaluate("isHidden = true; document.dispatchEvent(new Event('visibilitychange'))");
      await page.waitForLoadState('networkidle');
      asked = 0;
      await page.clock.runFor(60_000);
      expect(asked).toBe(0);
      await page.evaluate("isHidden = false; document.dispatchEvent(new Event('visibilitychange'))");
      await eventually('it asks again', () => asked > 0);
      await page.context().close();
    }, 120_000);

    test('below a path, behind a proxy, everything works as it does elsewhere', async () => {
      const worker = await stage.worker({ ...CONSOLE_ENV, IMSYNC_CONSOLE_BASE_PATH: '/ops/im' });
      const proxy = await proxyTo(new URL(await consoleUrl(worker)).origin);
      const viewer = await openPage(browser);
      const { port } = proxy.address() as AddressInfo;
      await signIn(viewer.page, ACT_TOKEN, `http://127.0.0.1:${port}/ops/im/#/users`);
      await viewer.page.getByRole('link', { name: en['nav.settings'] }).click();
      await viewer.page.getByText('IMSYNC_CONSOLE_BASE_PATH').first().waitFor();
      await viewer.page.getByRole('link', { name: en['nav.overview'] }).click();
      await button(viewer.page, en['pause.button']).click();
      await viewer.page.getByLabel(en['pause.reason']).fill('behind a proxy');
      await viewer.page.keyboard.press('Enter');
      await viewer.page.getByRole('heading', { name: /behind a proxy/ }).waitFor();
      // The other viewer sees it without a reload.
      await show(ann.page, '#/');
      await ann.page.getByRole('heading', { name: /behind a proxy/ }).waitFor();
      await button(ann.page, en['resume.button']).click();
      await button(ann.page.getByRole('dialog'), en['resume.do']).click();
      await viewer.page.getByRole('heading', { name: /^(Running|Ready)/ }).waitFor();
      expect(viewer.troubles).toEqual([]);
      await viewer.page.context().close();
      proxy.close();
    }, 120_000);

    test('Redis goes away and comes back: what is shown is of before, and says so', async () => {
      const { page } = ann;
      await show(page, '#/');
      await stage.redis.shutdown();
      await page.getByText(en['away.redis']).waitFor();
      await page.getByText(en['live.away']).waitFor();
      expect(await violationsOf(page)).toEqual([]);
      await stage.redis.restart();
      await eventually('the banner goes', async () => (await page.getByText(en['away.redis']).count()) === 0);
      await page.getByText(en['live.now'], { exact: true }).waitFor();
    }, 120_000);
  });
});

/** A reverse proxy as people have it: it passes on what it gets, the name of the host among it. */
async function proxyTo(target: string): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    const { url = '/', method, headers } = incoming;
    const onward = httpRequest(target + url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return server;
}
