import type { FaultAnswer, FaultName } from './answers.ts';

/**
 * The state of a call when it failed.
 * - `connecting`: there is no TCP connection yet.
 * - `securing`: TCP is connected, and the TLS handshake is not done.
 * - `ready`: it is connected, and nothing is sent.
 * - `sent`: the request has left.
 */
export type Phase = 'connecting' | 'securing' | 'ready' | 'sent';

const DNS_CODES: ReadonlySet<string> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'ENODATA',
  'EAI_NODATA',
]);

const WORDS: Readonly<Record<FaultName, string>> = {
  dns: 'the name of the host could not be resolved',
  connect: 'the connection could not be made',
  tls: 'the secure connection could not be made',
  reset: 'the connection broke',
  garbage: 'what came back is not HTTP',
  timeout: 'no answer in time',
  aborted: 'the call was given up',
};

/**
 * Converts an error of the HTTP client to a fault. It uses the error's code and never its message, since a
 * message may quote the address with the signature.
 */
export function faultOf(error: unknown, phase: Phase): FaultAnswer {
  const code = codeOf(error);
  return fault(nameOf(code, phase), phase === 'sent', code);
}

/** Makes a fault with one of the texts above. `detail` must not hold a secret. */
export function fault(name: FaultName, sent: boolean, detail = ''): FaultAnswer {
  const errorInfo = detail === '' ? WORDS[name] : `${WORDS[name]} (${detail})`;
  return { kind: 'fault', fault: name, errorInfo, sent };
}

function nameOf(code: string, phase: Phase): FaultName {
  switch (phase) {
    case 'connecting':
      return DNS_CODES.has(code) ? 'dns' : 'connect';
    case 'securing':
      return 'tls';
    case 'ready':
      return 'reset';
    case 'sent':
      return code.startsWith('HPE_') ? 'garbage' : 'reset';
  }
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : '';
}
