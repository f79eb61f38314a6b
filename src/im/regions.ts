/** Where the API is: an SDKAppID has one home, and another region answers 70016 or 70020. */

interface Region {
  readonly host: string;
  readonly backupHost: string;
}

/** Hosts as the API reference lists them, multiaccount_import, 2025-04, and REST API overview. */
const REGIONS = {
  china: { host: 'console.tim.qq.com', backupHost: 'adminapi.my-imcloud.com' },
  singapore: { host: 'adminapisgp.im.qcloud.com', backupHost: 'adminapisgp.my-imcloud.com' },
  seoul: { host: 'adminapikr.im.qcloud.com', backupHost: 'adminapikr.my-imcloud.com' },
  tokyo: { host: 'adminapijpn.im.qcloud.com', backupHost: 'adminapijpn.my-imcloud.com' },
  frankfurt: { host: 'adminapiger.im.qcloud.com', backupHost: 'adminapiger.my-imcloud.com' },
  'silicon-valley': { host: 'adminapiusa.im.qcloud.com', backupHost: 'adminapiusa.my-imcloud.com' },
  jakarta: { host: 'adminapiidn.im.qcloud.com', backupHost: 'adminapiidn.my-imcloud.com' },
  /** In older documents only. */
  mumbai: { host: 'adminapiind.im.qcloud.com', backupHost: 'adminapiind.my-imcloud.com' },
} as const satisfies Readonly<Record<string, Region>>;

export type RegionName = keyof typeof REGIONS;

export const REGION_NAMES = Object.keys(REGIONS) as readonly RegionName[];

export function isRegion(name: string): name is RegionName {
  return Object.hasOwn(REGIONS, name);
}

export function hostOf(region: RegionName): string {
  return REGIONS[region].host;
}

export function backupHostOf(region: RegionName): string {
  return REGIONS[region].backupHost;
}

/** What the client takes as its base URLs. */
export function baseUrlsOf(region: RegionName): { readonly baseUrl: string; readonly backupUrl: string } {
  return { baseUrl: `https://${hostOf(region)}`, backupUrl: `https://${backupHostOf(region)}` };
}
