import type { Config } from '../config/config.ts';
import { withoutPassword } from '../config/mask.ts';
import { backupHostOf, REGION_NAMES } from '../im/regions.ts';
import type { HoldKind } from '../im/verdict-rows.ts';
import { type ApiProbe, apiAddress } from './api-probe.ts';
import { duration, type Finding, ok, skipped, wrong } from './finding.ts';

/** Past this a UserSig signed here may look like one from the future, or an old one. */
const MAX_CLOCK_MS = 30_000;

const API_CHECKS = {
  'api.reachable': 'the API',
  'api.region': "the app's region",
  'api.credentials': 'the credentials',
  'api.clock': "the API's clock",
} as const;

/** What one call told of the API, and of how it sees us. */
export function apiFindings(config: Config, probe: ApiProbe): Finding[] {
  const { answer, verdict } = probe;
  const address = withoutPassword(apiAddress(config));
  if (answer.kind === 'fault' || verdict.class === 'retry') return unreachable(config, probe, address);
  if (answer.kind === 'http' && verdict.class === 'app') return notTheApi(config, probe, address);
  return [
    ok('api.reachable', `the API answers at ${address}, within ${Math.round(probe.roundTripMs)} ms`),
    ...identityFindings(config, probe),
    clockFinding(probe),
  ];
}

/** Why nothing was asked: the settings do not hold up. */
export function apiSkipped(why: string): Finding[] {
  return Object.entries(API_CHECKS).map(([name, words]) => skipped(name, `${words}: ${why}`));
}

function unreachable(config: Config, { answer, verdict }: ApiProbe, address: string): Finding[] {
  const said = answer.kind === 'api' ? `${answer.errorCode} ${answer.errorInfo}` : answer.errorInfo;
  const backup =
    config.api.baseUrl === ''
      ? ` The region's other host: IMSYNC_BASE_URL=https://${backupHostOf(config.api.region)}`
      : '';
  const todo =
    answer.kind === 'fault'
      ? `Check IMSYNC_REGION or IMSYNC_BASE_URL, and that calls from here to there are let through.${backup}`
      : `Try again in a while.${backup}`;
  return [
    wrong('api.reachable', `the API is away (${address}): ${said || verdict.meaning}`, todo, 'out-of-reach'),
    ...rest('api.reachable', 'not known without an answer'),
  ];
}

function notTheApi(config: Config, { answer }: ApiProbe, address: string): Finding[] {
  const named = config.api.baseUrl === '' ? 'IMSYNC_REGION' : 'IMSYNC_BASE_URL';
  return [
    wrong(
      'api.reachable',
      `something answers at ${address}, but it is not the API: HTTP ${answer.kind === 'fault' ? '' : answer.httpStatus}`,
      `Check ${named}, and whatever stands between here and there (a proxy, a gateway).`,
    ),
    ...rest('api.reachable', 'not known, since somebody else answered'),
  ];
}

function identityFindings(config: Config, { verdict }: ApiProbe): Finding[] {
  const { errorCode, meaning, errorInfo } = verdict;
  const words = `${errorCode}, ${meaning}${errorInfo === '' ? '' : ` ("${errorInfo}")`}`;
  if (verdict.class === 'done') {
    return [
      ok('api.region', `SDKAppID ${config.app.sdkAppId} is known there`),
      ok('api.credentials', `the API accepts the UserSig of ${config.app.adminId}`),
    ];
  }
  if (verdict.class === 'app' && verdict.holdKind === 'region') {
    const { region, baseUrl } = config.api;
    const others = REGION_NAMES.filter((name) => name !== region).join(', ');
    const [text, todo] =
      baseUrl === ''
        ? [
            `this SDKAppID does not live in ${region}: ${words}`,
            `Check IMSYNC_SDK_APP_ID; or set IMSYNC_REGION to the app's home (the console shows it), one of ${others}.`,
          ]
        : [
            `this SDKAppID is not known at the API of IMSYNC_BASE_URL: ${words}`,
            'Check IMSYNC_SDK_APP_ID, and that IMSYNC_BASE_URL is of the region that the app lives in.',
          ];
    return [
      wrong('api.region', text, todo),
      skipped('api.credentials', 'the credentials: judged only in the right region'),
    ];
  }
  if (verdict.class === 'app') {
    return [
      skipped('api.region', "the app's region: not told by an answer like the next"),
      wrong(
        'api.credentials',
        `the API refuses every call: ${words}`,
        TODO[verdict.holdKind ?? 'configuration'],
      ),
    ];
  }
  return rest('api.reachable', `the API answered ${words}: ask again later`).slice(0, 2);
}

const TODO: Readonly<Record<HoldKind, string>> = {
  credentials:
    'Check that IMSYNC_SDK_SECRET_KEY (or IMSYNC_USER_SIG) belongs to this SDKAppID, and IMSYNC_ADMIN_ID to its admin; the console shows all three. A wrong clock here looks the same.',
  quota: "Raise the plan's number of accounts, in the console.",
  disabled: "Look at the app's state and plan, in the console.",
  permission:
    'IMSYNC_ADMIN_ID must be an admin of the app, and this machine’s address must be on its allow-list.',
  region: 'Check IMSYNC_REGION.',
  configuration: 'Check IMSYNC_SDK_APP_ID and IMSYNC_BASE_URL.',
};

function clockFinding({ clockAheadMs }: ApiProbe): Finding {
  const name = 'api.clock';
  if (clockAheadMs === undefined) return skipped(name, "the API's clock: its answer told no time");
  const off = Math.abs(clockAheadMs);
  if (off <= MAX_CLOCK_MS) return ok(name, "the API's clock and this machine's agree");
  return wrong(
    name,
    `this machine's clock is ${duration(off)} ${clockAheadMs > 0 ? 'behind' : 'ahead of'} the API's`,
    'Set it by NTP: the API refuses a UserSig from its future, or one that has expired.',
  );
}

function rest(but: string, why: string): Finding[] {
  return apiSkipped(why).filter(({ name }) => name !== but);
}
