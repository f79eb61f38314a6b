import { createHmac } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import type { SimulatorOptions } from '../../simulator/options.ts';
import { type Simulator, startSimulator } from '../../simulator/simulator.ts';

/** The app of the simulators that tests start. The key is a public sample, no secret. */
export const TEST_APP = {
  sdkAppId: 1400000000,
  adminId: 'administrator',
  secretKey: '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e',
} as const;

/** An in-process simulator of TEST_APP on a free port. The test closes it. */
export function simulatorForTest(options: Partial<SimulatorOptions> = {}): Promise<Simulator> {
  return startSimulator({ ...TEST_APP, ...options });
}

export interface SigParts {
  readonly identifier?: string;
  readonly sdkAppId?: number;
  readonly secretKey?: string;
  /** Unix seconds; default now. */
  readonly time?: number;
  /** Seconds; default a day. */
  readonly expire?: number;
}

/** A UserSig (TLSSigAPIv2), made apart from the project's own signing so that one can check the other. */
export function userSigForTest(parts: SigParts = {}): string {
  const identifier = parts.identifier ?? TEST_APP.adminId;
  const sdkAppId = parts.sdkAppId ?? TEST_APP.sdkAppId;
  const time = parts.time ?? Math.floor(Date.now() / 1000);
  const expire = parts.expire ?? 86400;
  const lines = [
    `TLS.identifier:${identifier}`,
    `TLS.sdkappid:${sdkAppId}`,
    `TLS.time:${time}`,
    `TLS.expire:${expire}`,
  ];
  const mac = createHmac('sha256', parts.secretKey ?? TEST_APP.secretKey);
  const json = JSON.stringify({
    'TLS.ver': '2.0',
    'TLS.identifier': identifier,
    'TLS.sdkappid': sdkAppId,
    'TLS.time': time,
    'TLS.expire': expire,
    'TLS.sig': mac.update(`${lines.join('\n')}\n`).digest('base64'),
  });
  const base64 = deflateSync(json).toString('base64');
  return base64.replaceAll('+', '*').replaceAll('/', '-').replaceAll('=', '_');
}

/**
 * The URL of a call with a good query. `query` replaces parameters; undefined leaves one out.
 * `base` is the simulator's `url`.
 */
export function callUrl(
  base: string,
  command: string,
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const service = command === 'register_account_v1' ? 'registration_service' : 'im_open_login_svc';
  const params = new URLSearchParams();
  const all: Record<string, string | undefined> = {
    sdkappid: String(TEST_APP.sdkAppId),
    identifier: TEST_APP.adminId,
    usersig: userSigForTest(),
    random: '99999999',
    contenttype: 'json',
    ...query,
  };
  for (const [name, value] of Object.entries(all)) if (value !== undefined) params.set(name, value);
  return `${base}/v4/${service}/${command}?${params}`;
}

export interface JsonReply {
  readonly status: number;
  readonly headers: Headers;
  /** The body as sent. */
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

/** POSTs `body` as JSON (a string goes as it is). Rejects when the connection fails. */
export async function postJson(url: string, body: unknown, init: RequestInit = {}): Promise<JsonReply> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readReply(await fetch(url, { method: 'POST', ...init, body: text }));
}

export async function readReply(response: Response): Promise<JsonReply> {
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}
