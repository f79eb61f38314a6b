/** Asks the server. Addresses are relative to the page's base, so that the console works below any path. */

/** The code of an answer that never came. */
export const UNREACHABLE = 'unreachable';

export class ApiError extends Error {
  readonly code: string;
  readonly advice: string;
  /** Seconds to wait before trying again; 0: no word of it. */
  readonly retryAfterS: number;

  constructor(code: string, message: string, advice: string, retryAfterS = 0) {
    super(message);
    this.code = code;
    this.advice = advice;
    this.retryAfterS = retryAfterS;
  }
}

const ASK_MS = 10_000;
/** To forget a user waits 10 s for a call on the wire. */
const ACT_MS = 60_000;

export type Params = Readonly<Record<string, string | number | undefined>>;

/** The address of something below `api/`; empty parameters are left out. */
export function address(path: string, params: Params = {}): string {
  const url = new URL(`api/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  return url.href;
}

/** Rejects with ApiError, or with the signal's reason. */
export function ask<T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> {
  return request<T>(address(path, params), { signal: withDeadline(ASK_MS, signal) });
}

export function act<T>(path: string, body: object, method: 'POST' | 'DELETE' = 'POST'): Promise<T> {
  const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return request<T>(address(path), { method, ...(method === 'POST' && json), signal: withDeadline(ACT_MS) });
}

/** What hears of every failure: the session may have ended. */
let onFailure: (error: ApiError) => void = () => undefined;

export function hearFailures(listener: (error: ApiError) => void): void {
  onFailure = listener;
}

async function request<T>(url: string, init: RequestInit): Promise<T> {
  try {
    return await answerOf<T>(url, init);
  } catch (error) {
    if (error instanceof ApiError) onFailure(error);
    throw error;
  }
}

async function answerOf<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { ...init, credentials: 'same-origin', cache: 'no-store' });
    text = await response.text();
  } catch (error) {
    if (init.signal?.aborted === true && (error as Error).name === 'AbortError') throw error;
    throw new ApiError(UNREACHABLE, (error as Error).message, '');
  }
  if (response.status === 204) return undefined as T;
  const json = parsed(text);
  if (response.ok && json !== undefined) return json as T;
  const { error, message, advice } = (json ?? {}) as Partial<Record<string, unknown>>;
  throw new ApiError(
    typeof error === 'string' ? error : UNREACHABLE,
    typeof message === 'string' ? message : `HTTP ${response.status}`,
    typeof advice === 'string' ? advice : '',
    Number(response.headers.get('retry-after')) || 0,
  );
}

/** Something between may answer in its own words. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withDeadline(ms: number, signal?: AbortSignal): AbortSignal {
  const deadline = AbortSignal.timeout(ms);
  return signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
}
