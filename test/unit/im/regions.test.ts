import { readFileSync } from 'node:fs';
import { backupHostOf, baseUrlsOf, hostOf, isRegion, REGION_NAMES } from '../../../src/im/regions.ts';

const facts = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');

it('lists the documented regions, hosts and backup hosts', () => {
  const documented = [...facts.matchAll(/^\| ([a-z-]+)[^|]* \| ([\w.-]+\.com) \| ([\w.-]+\.com) \|$/gm)];
  const ours = REGION_NAMES.map((region) => [region, hostOf(region), backupHostOf(region)]);
  expect(ours).toEqual(documented.map(([, region, host, backup]) => [region, host, backup]));
  expect(ours).toHaveLength(8);
});

it('tells a region from any other word', () => {
  expect(isRegion('tokyo')).toBe(true);
  expect(isRegion('toString')).toBe(false);
  expect(baseUrlsOf('tokyo')).toEqual({
    baseUrl: 'https://adminapijpn.im.qcloud.com',
    backupUrl: 'https://adminapijpn.my-imcloud.com',
  });
});
