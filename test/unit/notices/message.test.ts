import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Receiver } from '../../../src/config/receivers.ts';
import { groupOf, messageFor, refusalIn, textOf } from '../../../src/notices/message.ts';
import type { Notice } from '../../../src/notices/notice.ts';

const APP = 1400000000;
const NOW_MS = 1717243200123;
const notice = (more: Partial<Notice> = {}): Notice => ({
  ...{ id: '7', kind: 'hold', at: 1717243200000, title: 'T', text: 'L', facts: {} },
  ...more,
});
const message = (kind: Receiver['kind'], secret: string, notices = [notice()]) => {
  const receiver = {
    id: `${kind}-1`,
    kind,
    url: 'https://example.com/hook?access_token=a%2Fb',
    host: 'x',
    secret,
  };
  const { body, ...rest } = messageFor(receiver, notices, APP, NOW_MS);
  return { ...rest, body, json: JSON.parse(body) };
};

// The signatures were made with Python's hmac, hashlib and base64 from the documents of the receivers.

test('DingTalk: timestamp in ms and signature stand in the query', () => {
  const { url, json } = message('dingtalk', 'SECabc123/+=x');
  expect(url).toBe(
    'https://example.com/hook?access_token=a%2Fb&timestamp=1717243200123&sign=yJ%2B2bjpz4g6EFQ6blWgWngLpWXxJ36OcRtSY8Q8PPH4%3D',
  );
  expect(json).toEqual({ msgtype: 'text', text: { content: '[imsync 1400000000] T\nL' } });
  expect(message('dingtalk', '').url).toBe('https://example.com/hook?access_token=a%2Fb');
});

test('Feishu: timestamp in seconds and signature stand in the body', () => {
  expect(message('feishu', 'SECabc123/+=x').json).toEqual({
    timestamp: '1717243200',
    sign: 'nnG1UL7qGnxrdvmusY15qUVLKLvJzQb1Q/W4O3lfjKM=',
    msg_type: 'text',
    content: { text: '[imsync 1400000000] T\nL' },
  });
  expect(Object.keys(message('feishu', '').json)).toEqual(['msg_type', 'content']);
});

test('JSON: the header signs timestamp and body', () => {
  const { headers, body } = message('json', '0123456789abcdef');
  expect(body).toBe(
    '{"sdkAppId":1400000000,"notices":[{"id":"7","kind":"hold","at":"2024-06-01T12:00:00.000Z","title":"T","text":"L","facts":{}}]}',
  );
  expect(headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'x-imsync-timestamp': '1717243200',
    'x-imsync-signature': 'v1=67509ad9e72817009b7dd0e14bd3ac369f6bd94ae319554854e7dc689c57b246',
  });
});

test('the code of docs/notices.md accepts what we sign, and nothing else', async () => {
  const page = readFileSync(new URL('../../../docs/notices.md', import.meta.url), 'utf8');
  const [, code = ''] = /```js\n([\s\S]*?)```/.exec(page) ?? [];
  const { isFromImsync } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  const secret = '0123456789abcdef';
  const { headers, body } = message('json', secret);
  expect(isFromImsync(headers, body, secret, NOW_MS)).toBe(true);
  expect(isFromImsync(headers, body, secret, NOW_MS + 301_000)).toBe(false);
  expect(isFromImsync(headers, `${body} `, secret, NOW_MS)).toBe(false);
  expect(isFromImsync(headers, body, 'another secret of ours', NOW_MS)).toBe(false);
  expect(isFromImsync({}, body, secret, NOW_MS)).toBe(false);
});

test('its Python does the same, and raises nothing whatever the headers hold', () => {
  const page = readFileSync(new URL('../../../docs/notices.md', import.meta.url), 'utf8');
  const [, code = ''] = /```python\n([\s\S]*?)```/.exec(page) ?? [];
  const { headers, body } = message('json', '0123456789abcdef');
  const cases = [
    headers,
    { ...headers, 'x-imsync-signature': 'v1=é' },
    { ...headers, 'x-imsync-timestamp': '²' },
    { ...headers, 'x-imsync-timestamp': '9'.repeat(5_000) },
    {},
  ];
  const now = Math.floor(NOW_MS / 1_000);
  const input = JSON.stringify({ cases, body });
  const program = `${code}
import json, sys
given = json.load(sys.stdin)
time.time = lambda: ${now}
print(json.dumps([is_from_imsync(h, given["body"].encode(), "0123456789abcdef") for h in given["cases"]]))`;
  const output = execFileSync('python3', ['-c', program], { input, encoding: 'utf8' });
  expect(JSON.parse(output)).toEqual([true, false, false, false, false]);
});

test('WeCom and Slack are not signed; no text mentions anybody', () => {
  const all = [notice({ text: '<!channel> & <at user_id="all">x</at>' })];
  expect(message('wecom', '', all).json).toEqual({
    msgtype: 'text',
    text: { content: '[imsync 1400000000] T\n<!channel> & <at user_id="all">x</at>' },
  });
  expect(message('slack', '', all).json).toEqual({
    text: '[imsync 1400000000] T\n&lt;!channel&gt; &amp; &lt;at user_id="all"&gt;x&lt;/at&gt;',
  });
  expect(message('feishu', '', all).json.content.text).toContain('‹at user_id="all">x‹/at>');
});

test('a message holds as many notices as WeCom takes, one at least, and cuts no character in two', () => {
  const many = Array.from({ length: 30 }, (_, i) => notice({ id: String(i), text: '账号导入'.repeat(15) }));
  const group = groupOf(many, APP);
  expect(group.length).toBeGreaterThan(3);
  expect(group).toEqual(many.slice(0, group.length));
  expect(Buffer.byteLength(textOf(group, APP))).toBeLessThanOrEqual(2_048);
  const long = [notice({ text: '号'.repeat(3_000) })];
  expect(groupOf(long, APP)).toEqual(long);
  const text = textOf(long, APP);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(2_048);
  expect(text).toMatch(/号…$/);
});

test.each([
  ['slack', 200, 'ok', undefined],
  ['slack', 200, '{"ok":true}', undefined],
  ['slack', 200, '{"ok":false,"error":"invalid_auth"}', 'its answer says: invalid_auth'],
  ['slack', 200, '<html>', 'its answer is none that slack gives for success'],
  ['slack', 404, 'no_service', 'HTTP 404'],
  ['dingtalk', 200, '{"errcode":0,"errmsg":"ok"}', undefined],
  ['dingtalk', 200, '{"errcode":310000,"errmsg":"sign not match"}', 'its answer says 310000: sign not match'],
  ['dingtalk', 200, '{"errcode":130101}', 'its answer 130101 is none that dingtalk gives for success'],
  ['wecom', 200, '{"errcode":0,"errmsg":"ok"}', undefined],
  [
    'wecom',
    200,
    '{"errcode":45009,"errmsg":"api freq out of limit"}',
    'its answer says 45009: api freq out of limit',
  ],
  ['wecom', 200, 'null', 'its answer is none that wecom gives for success'],
  ['feishu', 200, '{"code":0,"msg":"success","data":{}}', undefined],
  ['feishu', 200, '{"StatusCode":0,"StatusMessage":"success"}', undefined],
  ['feishu', 200, '{"code":19021,"msg":"sign match fail"}', 'its answer says 19021: sign match fail'],
  ['json', 204, '', undefined],
  ['json', 302, '', 'HTTP 302, a redirect'],
  ['json', 500, '', 'HTTP 500'],
] as const)('%s: HTTP %i with %s', (kind, status, body, refusal) => {
  expect(refusalIn(kind, status, body, (words) => words)).toBe(refusal);
});
