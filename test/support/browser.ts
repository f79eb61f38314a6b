import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Debian's package `chromium`, or another one that TEST_CHROMIUM names. */
const PATH = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium';
/** Tests of the page are skipped where there is no browser, unless TEST_BROWSER is `must`. */
export const hasBrowser = existsSync(PATH) || process.env.TEST_BROWSER === 'must';

/** A real Chromium without a window. */
export function openBrowser(): Promise<Browser> {
  const quiet = ['--disable-gpu', '--disable-background-networking', '--disable-component-update'];
  const more = ['--disable-sync', '--no-first-run', '--no-sandbox'];
  return chromium.launch({ executablePath: PATH, args: [...quiet, ...more] });
}

export interface WatchedPage {
  readonly page: Page;
  /** What went wrong in the page: errors, and all that the Content-Security-Policy forbade. */
  readonly troubles: string[];
  /** Bytes that came over the wire, by address, compressed as they came. */
  readonly bytes: ReadonlyMap<string, number>;
}

/** A page of a viewer of its own. Answers that refuse something are no trouble: tests ask for them. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext({
    locale: 'en-GB',
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  return watched(page);
}

/** Another tab of the same viewer. */
export async function openTab({ page }: WatchedPage): Promise<WatchedPage> {
  return watched(await page.context().newPage());
}

async function watched(page: Page): Promise<WatchedPage> {
  const troubles: string[] = [];
  const bytes = new Map<string, number>();
  page.setDefaultTimeout(60_000);
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    const isRefusal = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !isRefusal) troubles.push(message.text());
  });
  page.on('requestfinished', async (request) => {
    const sizes = await request.sizes().catch(() => undefined);
    if (sizes !== undefined) bytes.set(request.url(), sizes.responseBodySize);
  });
  await page.exposeFunction('reportViolation', (text: string) => troubles.push(`policy: ${text}`));
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (e) => reportViolation(e.violatedDirective + ' ' + e.blockedURI))`,
  );
  return { page, troubles, bytes };
}

/** What axe finds against WCAG 2.2 AA and good practice; each with the first element that it is about. */
export async function violationsOf(page: Page): Promise<string[]> {
  if (await page.evaluate("typeof axe === 'undefined'")) await page.evaluate(`${axe.source};0`);
  return page.evaluate(
    `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      .then(({ violations }) => violations.map(({ id, nodes: [node] }) => id + ': ' + node.target + ' ' + (node.any[0]?.message ?? '')))`,
  );
}

/** How far the page is wider than its window: what one would have to scroll for. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - innerWidth');
}
