import { readFileSync } from 'node:fs';
import { REGIONS } from '../../../src/im/open-api.ts';

const facts = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');

it('lists the documented regions, hosts and backup hosts', () => {
  const documented = [...facts.matchAll(/^\| ([a-z-]+)[^|]* \| ([\w.-]+\.com) \| ([\w.-]+\.com) \|$/gm)];
  const ours = Object.entries(REGIONS).map(([region, hosts]) => [region, hosts.baseUrl, hosts.backupUrl]);
  expect(ours).toEqual(
    documented.map(([, region, host, backup]) => [region, `https://${host}`, `https://${backup}`]),
  );
  expect(ours).toHaveLength(8);
});
