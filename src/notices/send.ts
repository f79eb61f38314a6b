import type { Receiver } from '../config/receivers.ts';
import { messageFor, refusalIn } from './message.ts';
import type { Notice } from './notice.ts';

const ANSWER_MS = 5_000;
/** Answers are short; of a longer one no more is read. */
const MAX_ANSWER_BYTES = 8_192;

/**
 * Sends one message. Resolves to undefined when the receiver has taken it, or to why it has not; the words are
 * free of secrets. Redirects are not followed. Never rejects.
 */
export async function send(
  receiver: Receiver,
  notices: readonly Notice[],
  sdkAppId: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { url, headers, body } = messageFor(receiver, notices, sdkAppId, Date.now());
  const tooLate = AbortSignal.timeout(ANSWER_MS);
  try {
    const response = await fetch(url, {
      ...{ method: 'POST', headers, body, redirect: 'manual' },
      signal: signal === undefined ? tooLate : AbortSignal.any([tooLate, signal]),
    });
    const refusal = refusalIn(receiver.kind, response.status, await boundedText(response));
    // An answer may repeat the address.
    return refusal === undefined ? undefined : withoutSecrets(refusal, receiver);
  } catch (error) {
    if (tooLate.aborted) return `no answer within ${ANSWER_MS / 1_000} s`;
    // Other words of the error may name the address.
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    return `it cannot be called${code === undefined ? '' : ` (${code})`}`;
  }
}

async function boundedText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  while (reader !== undefined && bytes < MAX_ANSWER_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    bytes += value.length;
  }
  await reader?.cancel();
  return Buffer.concat(parts).toString();
}

function withoutSecrets(words: string, { url, secret }: Receiver): string {
  const { pathname, search, searchParams } = new URL(url);
  const hidden = [url, pathname, search, ...pathname.split('/'), ...searchParams.values(), secret];
  const long = hidden.filter((text) => text.length >= 8).sort((a, b) => b.length - a.length);
  return long.reduce((clean, text) => clean.replaceAll(text, '***'), words);
}
