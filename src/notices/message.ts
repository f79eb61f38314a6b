import { createHmac } from 'node:crypto';
import type { Receiver, ReceiverKind } from '../config/receivers.ts';
import { oneLine } from '../im/redact.ts';
import type { Notice } from './notice.ts';

/**
 * How each kind of receiver is called, and what it answers. Sources: the documents of incoming webhooks of Slack,
 * of custom bots of DingTalk and Feishu (Lark), and of group robots of WeCom. docs/notices.md names them.
 */

/** WeCom takes 2,048 bytes of text, the others more. */
const MAX_TEXT_BYTES = 1_900;

export interface Message {
  /** With the signature, for DingTalk. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The oldest notices that fit into one message; one at least. */
export function groupOf<T extends Notice>(notices: readonly T[], sdkAppId: number): T[] {
  const group: T[] = [];
  for (const notice of notices) {
    if (group.length > 0 && Buffer.byteLength(textOf([...group, notice], sdkAppId)) > MAX_TEXT_BYTES) break;
    group.push(notice);
  }
  return group;
}

/** What people read. */
export function textOf(notices: readonly Notice[], sdkAppId: number): string {
  const text = notices
    .map(({ title, text: lines }) => `[imsync ${sdkAppId}] ${title}\n${lines}`)
    .join('\n\n');
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_TEXT_BYTES) return text;
  // A character that is cut in two becomes a replacement character, which is left out.
  return `${bytes
    .subarray(0, MAX_TEXT_BYTES - 3)
    .toString()
    .replace(/\uFFFD+$/, '')}…`;
}

/** `nowMs`: this machine's clock, which the receivers compare with theirs. */
export function messageFor(
  { kind, url, secret }: Receiver,
  notices: readonly Notice[],
  sdkAppId: number,
  nowMs: number,
): Message {
  const text = textOf(notices, sdkAppId);
  const post = (body: object, more: { to?: string; headers?: Record<string, string> } = {}): Message => ({
    url: more.to ?? url,
    headers: { 'content-type': 'application/json; charset=utf-8', 'user-agent': 'imsync', ...more.headers },
    body: JSON.stringify(body),
  });
  switch (kind) {
    case 'slack':
      return post({ text: text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;') });
    case 'dingtalk':
      return post({ msgtype: 'text', text: { content: text } }, { to: dingTalkUrl(url, secret, nowMs) });
    case 'wecom':
      return post({ msgtype: 'text', text: { content: text } });
    case 'feishu':
      // In its texts <at …> is a mention.
      return post({
        ...(secret !== '' && feishuSign(secret, nowMs)),
        msg_type: 'text',
        content: { text: text.replace(/<(?=\/?at\b)/gi, '‹') },
      });
    case 'json': {
      const list = notices.map((notice) => ({ ...notice, at: new Date(notice.at).toISOString() }));
      const message = post({ sdkAppId, notices: list });
      return { ...message, headers: { ...message.headers, ...jsonSign(secret, message.body, nowMs) } };
    }
  }
}

function dingTalkUrl(address: string, secret: string, nowMs: number): string {
  if (secret === '') return address;
  const url = new URL(address);
  const sign = createHmac('sha256', secret).update(`${nowMs}\n${secret}`).digest('base64');
  url.searchParams.set('timestamp', String(nowMs));
  url.searchParams.set('sign', sign);
  return url.href;
}

/** The text is the key here, and what is signed is empty. */
function feishuSign(secret: string, nowMs: number): { timestamp: string; sign: string } {
  const timestamp = String(Math.floor(nowMs / 1_000));
  return { timestamp, sign: createHmac('sha256', `${timestamp}\n${secret}`).digest('base64') };
}

function jsonSign(secret: string, body: string, nowMs: number): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const sign = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
  return { 'x-imsync-timestamp': timestamp, 'x-imsync-signature': `v1=${sign}` };
}

/**
 * Why the receiver did not take the message, in one line; undefined when it did. `hideIn` hides the secrets of its
 * words, which may repeat what it was sent; it gets them whole.
 */
export function refusalIn(
  kind: ReceiverKind,
  status: number,
  body: string,
  hideIn: (words: string) => string,
): string | undefined {
  if (status < 200 || status > 299) return status < 400 ? `HTTP ${status}, a redirect` : `HTTP ${status}`;
  if (kind === 'json' || (kind === 'slack' && body.trim() === 'ok')) return undefined;
  let answer: Record<string, unknown> = {};
  try {
    answer = Object(JSON.parse(body)) as Record<string, unknown>;
  } catch {
    // No JSON: none of the answers that mean success.
  }
  const code =
    kind === 'slack' ? answer.ok : kind === 'feishu' ? (answer.code ?? answer.StatusCode) : answer.errcode;
  if (code === (kind === 'slack' ? true : 0)) return undefined;
  const words = answer.errmsg ?? answer.msg ?? answer.StatusMessage ?? answer.error;
  const known = typeof code === 'number' ? ` ${code}` : '';
  return typeof words === 'string'
    ? `its answer says${known}: ${oneLine(hideIn(words))}`
    : `its answer${known} is none that ${kind} gives for success`;
}
