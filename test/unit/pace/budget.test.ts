import fc from 'fast-check';
import { readTextFile } from '../../../src/cli/context.ts';
import { loadConfig } from '../../../src/config/load.ts';
import {
  commandPair,
  patienceMs,
  quotaOf,
  quotasOf,
  ratePerSecond,
  SLOT_CLASSES,
  spacingMicros,
} from '../../../src/pace/budget.ts';

const quotas = fc.record({
  perSecond: fc.integer({ min: 1, max: 100_000 }),
  share: fc.double({ min: 0.001, max: 1, noNaN: true }),
  margin: fc.double({ min: 0, max: 0.5, noNaN: true }),
});

it('keeps the margin and the share back from the quota', () => {
  expect(ratePerSecond({ perSecond: 100, share: 1, margin: 0.01 })).toBe(99);
  expect(ratePerSecond({ perSecond: 100, share: 0.79, margin: 0 })).toBe(79);
  expect(spacingMicros({ perSecond: 100, share: 1, margin: 0 })).toBe(10_000);
});

it('puts no more slots into a second than the quota', () => {
  fc.assert(
    fc.property(quotas, (quota) => {
      expect(ratePerSecond(quota)).toBeLessThanOrEqual(quota.perSecond);
      // Slots at 0, 1, 2, … times the spacing: how many start before the second is over.
      const inASecond = Math.ceil(1_000_000 / spacingMicros(quota) - 1e-9);
      expect(inASecond).toBeLessThanOrEqual(quota.perSecond);
    }),
  );
});

it('knows the classes, best first', () => {
  expect(SLOT_CLASSES).toEqual(['live', 'retry', 'split', 'redrive']);
});

it('waits for an answer less long than two slots lie apart, but as long as a near Redis takes', () => {
  expect(patienceMs(10)).toBe(7.5);
  expect(patienceMs(0.5)).toBe(4);
});

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
