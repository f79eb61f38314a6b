import { hide, secretsInAddress } from '../config/hide.ts';
import type { Receiver } from '../config/receivers.ts';
import { type Message, messageFor, refusalIn } from './message.ts';
import type { Notice } from './notice.ts';

const ANSWER_MS = 5_000;
/** Answers are short; of a longer one no more is read. */
const MAX_ANSWER_BYTES = 8_192;

/**
 * Sends one message. Resolves to undefined when the receiver has taken it, or to why it has not; the words are
 * one line, free of secrets. Redirects are not followed. Never rejects.
 */
export async function send(
  receiver: Receiver,
  notices: readonly Notice[],
  sdkAppId: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const message = messageFor(receiver, notices, sdkAppId, Date.now());
  const { url, headers, body } = message;
  const tooLate = AbortSignal.timeout(ANSWER_MS);
  try {
    const response = await fetch(url, {
      ...{ method: 'POST', headers, body, redirect: 'manual' },
      signal: signal === undefined ? tooLate : AbortSignal.any([tooLate, signal]),
    });
    const answer = await boundedText(response);
    const hideIn = (words: string): string => hide(words, secretsIn(message, receiver));
    return refusalIn(receiver.kind, response.status, answer, hideIn);
  } catch (error) {
    if (tooLate.aborted) return `no answer within ${ANSWER_MS / 1_000} s`;
    // Other words of the error may name the address.
    return `it cannot be called (${causeOf(error)})`;
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

/** Also what was made of the secret for this message: a log must not hold that either. */
function secretsIn({ url, headers, body }: Message, { secret }: Receiver): string[] {
  const { sign = '' } = JSON.parse(body) as { sign?: string };
  return [...secretsInAddress(url), secret, sign, headers['x-imsync-signature']?.replace('v1=', '') ?? ''];
}

/** A cause without a code is a port that browsers may not call, and so `fetch` may not: 6000, for instance. */
function causeOf(error: unknown): string {
  const { code, message } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  return code ?? (message === 'bad port' ? 'no HTTP client calls this port' : (error as Error).name);
}
