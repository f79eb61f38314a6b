interface Region {
  readonly host: string;
  readonly backupHost: string;
}

/**
 * The hosts of each region (API reference, multiaccount_import, 2025-04, and REST API overview). An SDKAppID
 * belongs to one region; the others answer 70016 or 70020.
 */
const REGIONS = {
  china: { host: 'console.tim.qq.com', backupHost: 'adminapi.my-imcloud.com' },
  singapore: { host: 'adminapisgp.im.qcloud.com', backupHost: 'adminapisgp.my-imcloud.com' },
  seoul: { host: 'adminapikr.im.qcloud.com', backupHost: 'adminapikr.my-imcloud.com' },
  tokyo: { host: 'adminapijpn.im.qcloud.com', backupHost: 'adminapijpn.my-imcloud.com' },
  frankfurt: { host: 'adminapiger.im.qcloud.com', backupHost: 'adminapiger.my-imcloud.com' },
  'silicon-valley': { host: 'adminapiusa.im.qcloud.com', backupHost: 'adminapiusa.my-imcloud.com' },
  jakarta: { host: 'adminapiidn.im.qcloud.com', backupHost: 'adminapiidn.my-imcloud.com' },
  /** Only older documents list it. */
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

/** The two base URLs of a region, as the client takes them. */
export function baseUrlsOf(region: RegionName): { readonly baseUrl: string; readonly backupUrl: string } {
  return { baseUrl: `https://${hostOf(region)}`, backupUrl: `https://${backupHostOf(region)}` };
}
