import { type Config, ConfigError, type ReadFile, refuseOn } from './config.ts';
import { isLoopback } from './formats.ts';
import { schema } from './schema.ts';
import { readSecret } from './secrets.ts';

/** What a receiver of notices understands. */
export const receiverKinds = ['slack', 'dingtalk', 'feishu', 'wecom', 'json'] as const;
export type ReceiverKind = (typeof receiverKinds)[number];

/** A webhook that notices are sent to. */
export interface Receiver {
  /** Kind and place in the list, such as `dingtalk-2`. It holds no secret: Redis and logs may have it. */
  readonly id: string;
  readonly kind: ReceiverKind;
  /** What is called. It holds the receiver's token: it stands in no log and no error. */
  readonly url: string;
  readonly host: string;
  /** Signs the messages; '' for none. */
  readonly secret: string;
}

/** Hosts that need no prefix. */
const KNOWN_HOSTS: Readonly<Record<string, ReceiverKind>> = {
  'hooks.slack.com': 'slack',
  'oapi.dingtalk.com': 'dingtalk',
  'open.feishu.cn': 'feishu',
  'open.larksuite.com': 'feishu',
  'qyapi.weixin.qq.com': 'wecom',
};
const MAX_RECEIVERS = 10;
const MIN_SECRET_LENGTH = 16;
const KINDS = `${receiverKinds.slice(0, -1).join(', ')} or ${receiverKinds.at(-1)}`;

/** Whether notices are wanted. Reads no file. */
export function hasReceivers({ notify }: Config): boolean {
  return notify.urls.length > 0 || notify.urlsFile !== '';
}

/**
 * The receivers of notices, from the configuration or from their file as it is now. Throws ConfigError with a
 * sentence for each one that is not understood. A sentence names its host at most.
 */
export function readReceivers({ notify }: Config, readFile: ReadFile): readonly Receiver[] {
  const { urls, urlsFile } = notify;
  const problems: string[] = [];
  const variable = 'IMSYNC_NOTIFY_URLS_FILE';
  const given = readSecret(urls, urlsFile, variable, schema.notify.urls.reader, readFile, problems) ?? [];
  const where = urlsFile === '' ? 'IMSYNC_NOTIFY_URLS' : `the file of ${variable}`;
  const receivers: Receiver[] = [];
  for (const [index, text] of given.entries()) {
    try {
      receivers.push(parseReceiver(text, index + 1));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(`Receiver ${index + 1} in ${where} ${error.message}.`);
    }
  }
  if (given.length > MAX_RECEIVERS)
    problems.push(`There are ${given.length} receivers in ${where}; give ${MAX_RECEIVERS} at most.`);
  refuseOn(problems);
  return receivers;
}

/**
 * Reads `[KIND+]http(s)://HOST/PATH[#secret=SECRET][&allow-http]`. What follows `#` is never sent.
 * Throws ConfigError with the rest of a sentence that begins with the receiver.
 */
function parseReceiver(text: string, place: number): Receiver {
  const [, prefix, address = '', fragment = ''] =
    /^(?:([a-z]+)\+)?(https?:\/\/[^#]+)(?:#(.*))?$/.exec(text) ?? [];
  if (address === '' || !URL.canParse(address))
    throw refusal(`is no address; write https://…, or KIND+https://… with KIND ${KINDS}`);
  const url = new URL(address);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const kind = prefix === undefined ? KNOWN_HOSTS[host] : receiverKinds.find((known) => known === prefix);
  if (kind === undefined)
    throw refusal(
      prefix === undefined
        ? `is at ${host}, a host that is not known; write in front what it understands: KIND+https://… with KIND ${KINDS}`
        : `(${host}) begins with "${prefix}+", which is not known; write ${KINDS}`,
    );
  const options = fragment === '' ? [] : fragment.split('&');
  const secret = options.find((option) => option.startsWith('secret='))?.slice('secret='.length) ?? '';
  const allowsHttp = options.includes('allow-http');
  const understood = Number(secret !== '') + Number(allowsHttp);
  const rules: readonly (readonly [isBroken: boolean, words: string])[] = [
    [
      url.username !== '' || url.password !== '',
      'has a user or a password in its address; leave it out, and sign with a secret instead',
    ],
    [
      url.searchParams.has('secret'),
      'has its secret behind ?, where it would be sent; write it behind #, as in #secret=…',
    ],
    [options.length !== understood, 'has a part behind # that is not understood; write #secret=…'],
    [
      url.protocol === 'http:' && !isLoopback(host) && !allowsHttp,
      'would be called without TLS; write https://, or #allow-http behind the address (after a secret: &allow-http)',
    ],
    [secret !== '' && (kind === 'slack' || kind === 'wecom'), `takes no secret (${kind}); leave it out`],
    [
      kind === 'json' && secret.length < MIN_SECRET_LENGTH,
      `needs a secret of ${MIN_SECRET_LENGTH} characters or more; write it behind #, as in #secret=…, and make one with: openssl rand -hex 32`,
    ],
  ];
  const broken = rules.find(([isBroken]) => isBroken);
  if (broken !== undefined) throw refusal(`(${host}) ${broken[1]}`);
  return { id: `${kind}-${place}`, kind, url: url.href, host, secret };
}

/** The kind that an ID of a receiver begins with. */
export function kindOf(receiverId: string): ReceiverKind {
  return receiverId.replace(/-\d+$/, '') as ReceiverKind;
}

function refusal(words: string): ConfigError {
  return new ConfigError([words]);
}
