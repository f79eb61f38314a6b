import { randomBytes } from 'node:crypto';
import type { Config, ReadFile } from '../config/config.ts';
import { looksLikeKey } from '../config/credential-shape.ts';
import { withoutPassword } from '../config/mask.ts';
import { encodeCheck } from '../im/bodies.ts';
import { hostsOf, openApi, proxyOf, REGIONS } from '../im/open-api.ts';
import { readUserSig } from '../im/signer.ts';
import { verdictOf } from '../im/verdicts.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import { HOLD_ADVICE } from '../logging/hold-log.ts';
import { openSlots } from '../pace/open-limiter.ts';
import { withoutRecord } from '../pace/slot.ts';
import type { RedisClient } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { clockFinding, duration, type Finding, hint, notChecked, ok, skipped, wrong } from './finding.ts';

/** What one call of account_check met. */
type ApiProbe = Awaited<ReturnType<typeof probeApi>>;

const CONNECT_MS = 5_000;
const SLOT_TIMEOUT_MS = 3_000;
/** Long enough for one call. */
const SIGNATURE_SECONDS = 600;
/** The Date header tells whole seconds: on average half of one has passed. */
const HALF_A_SECOND_MS = 500;

/**
 * Checks an account that does not exist, once connected and when its slot has come. Changes nothing. Asks the
 * main host only: the finding is about the address that is configured. Never rejects.
 */
export async function probeApi(config: Config, readFile: ReadFile, redis: RedisClient | undefined) {
  const { client } = openApi(config, readFile, {
    hosts: { baseUrl: hostsOf(config).baseUrl },
    callTimeoutMs: Math.min(config.api.callTimeoutMs, CONNECT_MS),
    signatureSeconds: SIGNATURE_SECONDS,
  });
  const userId = `imsync-doctor-${randomBytes(8).toString('hex')}`;
  const call = client.prepare('account_check', encodeCheck([userId]));
  // Without a slot the call is made all the same. The findings about Redis contain the error.
  await Promise.all([call.connected, redis && slotHasCome(config, redis).catch(() => undefined)]);
  const startedMs = performance.now();
  const answer = await call.send();
  const roundTripMs = performance.now() - startedMs;
  const sentAtMs = Date.now() - roundTripMs / 2;
  client.close();
  const serverTimeMs = answer.kind === 'fault' ? undefined : answer.serverTimeMs;
  return {
    answer,
    verdict: verdictOf('account_check', answer),
    roundTripMs,
    /** The API's clock less ours, within a second or so. Undefined when the answer had no Date header. */
    clockAheadMs: serverTimeMs === undefined ? undefined : serverTimeMs + HALF_A_SECOND_MS - sentAtMs,
  };
}

/**
 * Waits for a slot of account_check, so that the doctor's call stays within the quota of all processes.
 * Resolves without a slot if Redis cannot grant one within 3 s, or if calls are held or paused: then no
 * worker calls, and the API's answer is what the operator needs to know.
 */
async function slotHasCome(config: Config, redis: RedisClient): Promise<void> {
  const giveUpAtMs = performance.now() + SLOT_TIMEOUT_MS;
  const slots = openSlots(config, redis, keysOf(config.app.sdkAppId), 'account_check');
  while (performance.now() < giveUpAtMs) {
    const answer = await slots.ask([withoutRecord('live')]);
    if (answer.kind === 'slot') return waitUntil(answer.slot.atLocalMs);
    if (answer.kind !== 'later') return;
    await waitUntil(Math.min(giveUpAtMs, performance.now() + answer.waitMs));
  }
}

/** With a larger difference, a UserSig signed here may be from the API's future or have expired. */
const MAX_CLOCK_MS = 30_000;

/** The user guide (generating UserSig) recommends at least a day. */
const MIN_VALIDITY_MS = 86_400_000;
const USER_SIG = 'user-sig';
const RENEW_USER_SIG =
  'Make a new UserSig for the admin and put it into IMSYNC_USER_SIG_FILE. Workers read the file before each probe.';

/** Which way calls take, as the settings say. */
export function wayHint(config: Config, readFile: ReadFile): Finding {
  const proxy = proxyOf(config, readFile);
  const { https, http } = config.proxy;
  if (proxy !== undefined)
    return hint('api.way', `Calls go through the proxy ${proxy.shown()} (${proxy.variable})`);
  const why = https + http === '' ? 'no proxy is set' : 'the proxy that is set does not count for this host';
  return hint('api.way', `Calls go out directly: ${why}`);
}

/** What one call shows about the API, the app's region, the credentials and the clock. */
export function apiFindings(config: Config, probe: ApiProbe): Finding[] {
  const reachable = reachableFinding(config, probe);
  if (reachable.state === 'ok')
    return [reachable, ...identityFindings(config, probe), apiClockFinding(probe)];
  const why =
    reachable.cause === 'out-of-reach'
      ? 'the API gave no usable answer'
      : 'something other than the API answered';
  return [reachable, ...notChecked('api', why).filter(({ name }) => name !== reachable.name)];
}

function reachableFinding(config: Config, { answer, verdict, roundTripMs }: ApiProbe): Finding {
  const name = 'api.reachable';
  const isOwnAddress = config.api.baseUrl !== '';
  const address = withoutPassword(hostsOf(config).baseUrl);
  if (answer.kind === 'fault' || verdict.class === 'retry') {
    if (verdict.holdKind === 'proxy')
      return wrong(
        name,
        `The API at ${address} cannot be asked: ${answer.errorInfo}`,
        HOLD_ADVICE.proxy ?? '',
        'out-of-reach',
      );
    const said = answer.kind === 'api' ? `${answer.errorCode} ${answer.errorInfo}` : answer.errorInfo;
    const [problem, todo] =
      answer.kind === 'fault'
        ? ['does not answer', 'Check IMSYNC_REGION or IMSYNC_BASE_URL, and the network from here to the API.']
        : ['has a temporary fault', 'Run the doctor again in a few minutes.'];
    const text = `The API at ${address} ${problem}: ${said || verdict.meaning}`;
    const backup = isOwnAddress
      ? ''
      : ` Or try the region's other host: IMSYNC_BASE_URL=${REGIONS[config.api.region].backupUrl}`;
    return wrong(name, text, todo + backup, 'out-of-reach');
  }
  if (answer.kind === 'http' && verdict.class === 'app')
    return wrong(
      name,
      `Something answers at ${address}, but it is not the API: HTTP ${answer.httpStatus}`,
      `Check ${isOwnAddress ? 'IMSYNC_BASE_URL' : 'IMSYNC_REGION'}, and any proxy or gateway between this machine and the API.`,
    );
  return ok(name, `The API answers at ${address} within ${Math.round(roundTripMs)} ms`);
}

function identityFindings(config: Config, { verdict }: ApiProbe): Finding[] {
  const { errorCode, meaning, errorInfo } = verdict;
  const words = `${errorCode}, ${meaning}${errorInfo === '' ? '' : ` ("${errorInfo}")`}`;
  if (verdict.class === 'done') {
    return [
      ok('api.region', `The API knows SDKAppID ${config.app.sdkAppId}, so the region is right`),
      ok('api.credentials', `The API accepts the UserSig of ${config.app.adminId}`),
    ];
  }
  if (verdict.class === 'app' && verdict.holdKind === 'region') {
    const { region, baseUrl } = config.api;
    const others = Object.keys(REGIONS).filter((name) => name !== region);
    const [text, todo] =
      baseUrl === ''
        ? [
            `This SDKAppID does not belong to the region ${region}: ${words}`,
            `Check IMSYNC_SDK_APP_ID. The console shows the region for IMSYNC_REGION, one of ${others.join(', ')}.`,
          ]
        : [
            `The API at IMSYNC_BASE_URL does not know this SDKAppID: ${words}`,
            'Check IMSYNC_SDK_APP_ID, and that IMSYNC_BASE_URL belongs to the region of the app.',
          ];
    return [
      wrong('api.region', text, todo),
      skipped('api.credentials', 'The credentials were not checked: the region must be right first'),
    ];
  }
  if (verdict.class === 'app') {
    return [
      skipped('api.region', "The app's region was not checked: the API refuses every call"),
      wrong(
        'api.credentials',
        `The API refuses every call: ${words}`,
        HOLD_ADVICE[verdict.holdKind ?? 'configuration'] ?? '',
      ),
    ];
  }
  const why = `the API answered ${words}; run the doctor again in a few minutes`;
  return notChecked('api', why).filter(({ name }) => name === 'api.region' || name === 'api.credentials');
}

function apiClockFinding({ clockAheadMs }: ApiProbe): Finding {
  if (clockAheadMs === undefined)
    return skipped('api.clock', "The API's clock was not checked: the answer contained no time");
  return clockFinding('api.clock', 'the API', -clockAheadMs, {
    agreesWithinMs: MAX_CLOCK_MS,
    wrongAfterMs: MAX_CLOCK_MS,
    todo: 'Synchronise this machine by NTP. The API refuses a UserSig from its future or one that has expired.',
  });
}

/** Whether the key looks as the console shows it. What is certainly no key is a problem of the settings. */
export function keyShapeFinding(secretKey: string | undefined): Finding {
  const name = 'key';
  if (secretKey === undefined) return ok(name, 'No key is given, but a UserSig');
  if (looksLikeKey(secretKey) && /[A-F]/.test(secretKey))
    return hint(
      name,
      'The key has capital letters, and the console shows small ones: the key is used as text, where they differ. If the API refuses it, copy it again, as it stands there',
    );
  if (looksLikeKey(secretKey))
    return ok(name, 'The key has the shape that the console shows: 64 hexadecimal digits');
  return hint(
    name,
    'The key is not 64 hexadecimal digits, as the console shows it. If the API refuses it, copy it again, without quotes or blanks',
  );
}

/** Checks how long a UserSig made elsewhere is still valid. One that is signed here renews itself. */
export function userSigFinding(
  given: string | undefined,
  app: { readonly sdkAppId: number; readonly adminId: string },
  nowMs: number,
): Finding {
  if (given === undefined) return ok(USER_SIG, 'UserSigs are signed with the key and renewed in time');
  const claims = readUserSig(given);
  if (claims === undefined) return wrong(USER_SIG, 'The given UserSig cannot be read', RENEW_USER_SIG);
  const { sdkAppId, identifier, issuedAtSeconds, expireSeconds } = claims;
  const isOther = sdkAppId !== app.sdkAppId;
  if (isOther || identifier !== app.adminId) {
    const [whose, setting] = isOther
      ? [`SDKAppID ${sdkAppId}, not ${app.sdkAppId}`, 'IMSYNC_SDK_APP_ID']
      : [`another user than IMSYNC_ADMIN_ID (${app.adminId})`, 'IMSYNC_ADMIN_ID'];
    return wrong(USER_SIG, `The given UserSig was made for ${whose}`, `Check ${setting}. ${RENEW_USER_SIG}`);
  }
  const leftMs = 1_000 * (issuedAtSeconds + expireSeconds) - nowMs;
  if (leftMs <= 0)
    return wrong(USER_SIG, `The given UserSig expired ${duration(-leftMs)} ago`, RENEW_USER_SIG);
  const text = `The given UserSig is valid for another ${duration(leftMs)}`;
  return leftMs < MIN_VALIDITY_MS ? wrong(USER_SIG, text, RENEW_USER_SIG) : ok(USER_SIG, text);
}
