import { readTextFile } from '../../../src/cli/context.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { commandPair, quotaOf, quotasOf } from '../../../src/pace/quotas.ts';

const configOf = (env: Record<string, string>) => loadConfig({ env, readFile: readTextFile }).config;

it('takes the documented quota of the form unless another is configured', () => {
  const rest = { share: 1, margin: 0.01 };
  expect(quotasOf(configOf({}))).toEqual({
    multiaccount_import: { perSecond: 100, ...rest },
    account_import: { perSecond: 200, ...rest },
  });
  expect(quotasOf(configOf({ IMSYNC_API: 'legacy' }))).toEqual({
    multiaccount_import: { perSecond: 100, ...rest },
    account_import: { perSecond: 100, ...rest },
  });
  expect(quotasOf(configOf({ IMSYNC_API: 'hosted' }))).toEqual({
    register_account_v1: { perSecond: 1000, ...rest },
  });
  const own = configOf({ IMSYNC_QUOTA_ACCOUNT_IMPORT_PER_SECOND: '7', IMSYNC_QUOTA_SHARE: '0.5' });
  expect(quotaOf(own, 'account_import')).toEqual({ perSecond: 7, share: 0.5, margin: 0.01 });
  expect(quotaOf(own, 'multiaccount_import')).toEqual({ perSecond: 100, share: 0.5, margin: 0.01 });
});

it('knows which calls a form makes', () => {
  expect(commandPair('current')).toEqual({ batch: 'multiaccount_import', single: 'account_import' });
  expect(commandPair('legacy')).toEqual({ batch: 'multiaccount_import', single: 'account_import' });
  expect(commandPair('hosted')).toEqual({ batch: 'register_account_v1', single: 'register_account_v1' });
});
