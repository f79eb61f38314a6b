import type { Browser, Page } from 'playwright-core';
import { openBrowser, openPage } from '../../test/support/browser.ts';
import { ACT_TOKEN } from '../../test/support/console-api.ts';

/** Viewers of the console in a real Chromium, each with a session of its own. */
export interface Viewers {
  /** Signs in so many more, who look at the page behind this hash. */
  open(count: number, hash?: string): Promise<readonly Page[]>;
  /** All of them look elsewhere, as when a tab goes to the background. */
  hide(): Promise<void>;
  close(): Promise<void>;
}

/** `document.hidden` as of a tab in the background: Chromium without a window shows all of them. */
const HIDEABLE = "Object.defineProperty(document, 'hidden', { get: () => globalThis.isHidden === true })";
const HIDE = "isHidden = true; document.dispatchEvent(new Event('visibilitychange'))";

export async function openViewers(base: string): Promise<Viewers> {
  const browser: Browser = await openBrowser();
  const pages: Page[] = [];
  return {
    async open(count, hash = '#/') {
      const opened: Page[] = [];
      for (let i = 0; i < count; i++) {
        const { page } = await openPage(browser);
        await page.addInitScript(HIDEABLE);
        await signInWith(page, `${base}/${hash}`);
        opened.push(page);
      }
      pages.push(...opened);
      return opened;
    },
    async hide() {
      await Promise.all(pages.map((page) => page.evaluate(HIDE)));
    },
    close: () => browser.close(),
  };
}

async function signInWith(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await page.locator('input[type=password]').fill(ACT_TOKEN.replace(/^\w+:/, ''));
  await page.keyboard.press('Enter');
  await page.locator('nav').first().waitFor();
}

/** What a browser without a cache gets for the first page, and when it first paints. */
export async function firstLoad(
  browser: Browser,
  address: string,
): Promise<{ readonly bytes: number; readonly files: number; readonly paintMs: number }> {
  const { page, bytes } = await openPage(browser);
  await page.goto(address, { waitUntil: 'networkidle' });
  const paintMs = await page.evaluate<number>(
    "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN",
  );
  const sizes = [...bytes].filter(([url]) => !url.includes('/api/')).map(([, size]) => size);
  await page.context().close();
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), files: sizes.length, paintMs };
}
