import type { Config } from '../config/config.ts';

/** The provider's own list of error codes, by where the app's console is. */
const PAGES = {
  china: 'https://cloud.tencent.com/document/product/269/1671',
  elsewhere: 'https://www.tencentcloud.com/document/product/1047/34348',
};

/** The address of the page that explains a code; null without a code. */
export function codePageOf({ api }: Config, errorCode: number): string | null {
  if (errorCode === 0) return null;
  return api.region === 'china' ? PAGES.china : PAGES.elsewhere;
}
