import { cut } from '../event/text.ts';
import { TunnelError } from '../proxy/tunnel.ts';
import { oneLine } from './redact.ts';

/** The API answered: HTTP 200 with the API's body. `errorCode` is its verdict. */
export interface ApiAnswer {
  readonly kind: 'api';
  readonly httpStatus: number;
  readonly errorCode: number;
  readonly errorInfo: string;
  /** Failed users, each once. They may not be of the request (the documented sample is not). */
  readonly failAccounts: readonly string[];
  readonly requestId?: string;
  /** The API's clock from the Date header, in ms since 1970, precise to a second. */
  readonly serverTimeMs?: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Something other than the API answered: a gateway, a proxy, another server. */
export interface HttpAnswer {
  readonly kind: 'http';
  readonly httpStatus: number;
  readonly errorInfo: string;
  /** The wait that Retry-After asks for, at most an hour. */
  readonly retryAfterMs?: number;
  /** The clock of the other end, as in ApiAnswer. */
  readonly serverTimeMs?: number;
}

export type FaultName = 'proxy' | 'timeout' | 'reset' | 'connect' | 'dns' | 'tls' | 'garbage' | 'aborted';

/** No usable answer came. */
export interface FaultAnswer {
  readonly kind: 'fault';
  readonly fault: FaultName;
  readonly errorInfo: string;
  /** False if the call certainly never reached the API. */
  readonly sent: boolean;
}

export type Answer = ApiAnswer | HttpAnswer | FaultAnswer;

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

const MAX_RETRY_AFTER_MS = 3_600_000;
const MAX_REQUEST_ID_CHARS = 100;

/**
 * Reads an HTTP answer. The API answers every call with HTTP 200 (API reference, account_import). Any other
 * status comes from something in between, and its body is only a hint. A 200 whose body contradicts itself,
 * or leaves open who failed, is garbage: to count it as success would lose accounts. `clean` removes the
 * secrets from a text; it is applied to every text of the body before any text is cut.
 */
export function readAnswer(
  httpStatus: number,
  headers: Headers,
  bodyText: string,
  clean: (text: string) => string = (text) => text,
): Answer {
  const serverTimeMs = readServerTimeMs(headers);
  if (httpStatus !== 200) {
    // A proxy that wants a login sends a long page, which does not say whose it is.
    const page = httpStatus === 407 ? 'the proxy wants another user or password' : pageText(clean(bodyText));
    const errorInfo = oneLine(`HTTP ${httpStatus} ${page}`);
    return { kind: 'http', httpStatus, errorInfo, retryAfterMs: readRetryAfterMs(headers), serverTimeMs };
  }
  const body = readObject(bodyText, clean);
  if (body === undefined)
    return garbage(`HTTP 200 with a body that is not the API's: ${pageText(clean(bodyText))}`);
  const twice = repeatedKey(bodyText);
  if (twice !== undefined) return garbage(`HTTP 200 with more than one ${twice}`);
  const { ActionStatus: status } = body;
  const errorCode = readErrorCode(body.ErrorCode);
  if (errorCode === undefined) return garbage('HTTP 200 without an ErrorCode that is a number');
  if (errorCode === 0 && status !== undefined && status !== 'OK') {
    return garbage(`ErrorCode 0 with the ActionStatus ${JSON.stringify(status)}`);
  }
  const failAccounts = readFailAccounts(body.FailAccounts);
  if (failAccounts === undefined && errorCode === 0) {
    return garbage('ErrorCode 0 with FailAccounts that are not a list of user IDs');
  }
  return {
    kind: 'api',
    httpStatus,
    errorCode,
    errorInfo: oneLine(body.ErrorInfo),
    failAccounts: failAccounts ?? [],
    requestId: readRequestId(body),
    serverTimeMs,
    body,
  };
}

function garbage(errorInfo: string): FaultAnswer {
  return { kind: 'fault', fault: 'garbage', errorInfo: oneLine(errorInfo), sent: true };
}

function readObject(text: string, clean: (text: string) => string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text, (_key, part: unknown) =>
      typeof part === 'string' ? clean(part) : part,
    );
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A gateway may have turned the number into a text. */
function readErrorCode(value: unknown): number | undefined {
  const code = typeof value === 'string' && /^(0|[1-9]\d{0,9})$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(code) ? Number(code) : undefined;
}

const VERDICT_KEYS = ['ErrorCode', 'ActionStatus', 'FailAccounts'];

/** A key of the verdict that the object has twice: JSON.parse would take the last one without a word. */
function repeatedKey(text: string): string | undefined {
  if (VERDICT_KEYS.every((key) => text.indexOf(key) === text.lastIndexOf(key))) return undefined;
  const seen = new Set<string>();
  let depth = 0;
  for (const [token] of text.matchAll(/[{}[\]]|"(?:[^"\\]|\\.)*"(?:\s*:)?/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1 && token.endsWith(':')) {
      const key = VERDICT_KEYS.find((name) => token.startsWith(`"${name}"`));
      if (key !== undefined && seen.has(key)) return key;
      seen.add(key ?? '');
    }
  }
  return undefined;
}

/** `[]`, missing and null mean that no user failed. Returns undefined if the list cannot be read. */
function readFailAccounts(value: unknown): string[] | undefined {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return undefined;
  const users = new Set<string>();
  for (const user of value as unknown[]) {
    // A user ID that consists of digits may come back as a number.
    if (typeof user === 'string') users.add(user);
    else if (typeof user === 'number' && Number.isSafeInteger(user)) users.add(String(user));
    else return undefined;
  }
  return [...users];
}

function readRequestId(body: Readonly<Record<string, unknown>>): string | undefined {
  const given = [body.RequestId, body.RequestID].find((one) => typeof one === 'string' && one !== '');
  return given === undefined ? undefined : cut(oneLine(given), MAX_REQUEST_ID_CHARS);
}

/** Reads seconds or a date. A date is compared with the answer's own Date header, since clocks differ. */
function readRetryAfterMs(headers: Headers): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  const ms = /^\s*\d+\s*$/.test(value)
    ? Number(value) * 1000
    : Date.parse(value) - (readServerTimeMs(headers) ?? Number.NaN);
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : undefined;
}

function readServerTimeMs({ date }: Headers): number | undefined {
  const ms = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  return Number.isFinite(ms) ? ms : undefined;
}

function pageText(text: string): string {
  const head = text.length > 8192 ? `${cut(text, 8192)}…` : text;
  return head.replace(/<(script|style)\b[\s\S]*?<\/\1\s*>/gi, ' ').replace(/<[^>]*>/g, ' ');
}

/**
 * The state of a call when it failed.
 * - `connecting`: there is no TCP connection yet.
 * - `securing`: TCP is connected, and the TLS handshake is not done.
 * - `ready`: it is connected, and nothing is sent.
 * - `sent`: the request has left.
 */
export type Phase = 'connecting' | 'securing' | 'ready' | 'sent';

/** Codes of a certificate whose authority is not known here. */
const UNKNOWN_AUTHORITY = /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_)/;

const DNS_CODES = ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'ENODATA', 'EAI_NODATA'];

/** What each fault means, for people. */
export const FAULT_WORDS: Readonly<Record<FaultName, string>> = {
  proxy: 'no way through the proxy',
  dns: 'the name of the host could not be resolved',
  connect: 'the connection could not be made',
  tls: 'the secure connection could not be made',
  reset: 'the connection broke',
  garbage: 'what came back is no answer of the API',
  timeout: 'no answer in time',
  aborted: 'the call was given up',
};

/**
 * Converts an error of the HTTP client to a fault. It uses the error's code and never its message, since a
 * message may quote the address with the signature.
 */
export function faultOf(error: unknown, phase: Phase): FaultAnswer {
  const { cause } = (error ?? {}) as { cause?: unknown };
  // Its message is made of our own words.
  if (cause instanceof TunnelError) return fault(cause.fault, false, withHint(cause.message));
  const code = codeOf(error);
  return fault(nameOf(code, phase), phase === 'sent', withHint(code));
}

function withHint(code: string): string {
  return UNKNOWN_AUTHORITY.test(code) ? `${code}: IMSYNC_CA_FILE names who signs certificates here` : code;
}

/** Makes a fault with one of the texts above. `detail` must not hold a secret. */
export function fault(name: FaultName, sent: boolean, detail = ''): FaultAnswer {
  const errorInfo = detail === '' ? FAULT_WORDS[name] : `${FAULT_WORDS[name]} (${detail})`;
  return { kind: 'fault', fault: name, errorInfo, sent };
}

function nameOf(code: string, phase: Phase): FaultName {
  switch (phase) {
    case 'connecting':
      return DNS_CODES.includes(code) ? 'dns' : 'connect';
    case 'securing':
      return 'tls';
    case 'ready':
      return 'reset';
    case 'sent':
      return code.startsWith('HPE_') ? 'garbage' : 'reset';
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : '';
}
