import { ConfigError } from '../../../src/config/config.ts';
import { maskedView } from '../../../src/config/mask.ts';
import { readReceivers } from '../../../src/config/receivers.ts';
import { loadFrom, memoryFiles } from './memory-files.ts';

const SECRET = 'SEC0123456789abcdef';
const TOKEN = 'T0KEN8c1f';

const read = (urls: string) => readReceivers(loadFrom({ IMSYNC_NOTIFY_URLS: urls }).config, memoryFiles({}));

/** The sentence that refuses this list of one receiver. */
function refusalOf(url: string): string {
  try {
    read(url);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'accepted';
}

test('known hosts need no prefix, a prefix overrides, and what follows # is not part of the address', () => {
  const list = [
    `https://hooks.slack.com/services/T0/B0/${TOKEN}`,
    `https://oapi.dingtalk.com/robot/send?access_token=${TOKEN}#secret=${SECRET}`,
    `https://open.feishu.cn/open-apis/bot/v2/hook/${TOKEN}`,
    `https://open.larksuite.com/open-apis/bot/v2/hook/${TOKEN}#secret=a/+=b`,
    `https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=${TOKEN}`,
    `slack+https://chat.example.com/hooks/${TOKEN}`,
    `json+http://127.0.0.1:8080/hook#secret=${SECRET}`,
    `json+http://[::1]/hook#secret=${SECRET}`,
    `json+http://alerts.internal/hook#secret=${SECRET}&allow-http`,
    'slack+http://chat.internal/hook#allow-http',
  ];
  expect(read(list.join(',\n')).map(({ id, url, host, secret }) => [id, url, host, secret])).toEqual([
    ['slack-1', list[0], 'hooks.slack.com', ''],
    ['dingtalk-2', `https://oapi.dingtalk.com/robot/send?access_token=${TOKEN}`, 'oapi.dingtalk.com', SECRET],
    ['feishu-3', list[2], 'open.feishu.cn', ''],
    ['feishu-4', `https://open.larksuite.com/open-apis/bot/v2/hook/${TOKEN}`, 'open.larksuite.com', 'a/+=b'],
    ['wecom-5', list[4], 'qyapi.weixin.qq.com', ''],
    ['slack-6', `https://chat.example.com/hooks/${TOKEN}`, 'chat.example.com', ''],
    ['json-7', 'http://127.0.0.1:8080/hook', '127.0.0.1', SECRET],
    ['json-8', 'http://[::1]/hook', '::1', SECRET],
    ['json-9', 'http://alerts.internal/hook', 'alerts.internal', SECRET],
    ['slack-10', 'http://chat.internal/hook', 'chat.internal', ''],
  ]);
});

test.each([
  [
    TOKEN,
    /^Receiver 1 in IMSYNC_NOTIFY_URLS is no address; write https:\/\/…, or KIND\+https:\/\/… with KIND slack/,
  ],
  [`https:///${TOKEN}@`, /has a user or a password|is no address|host that is not known/],
  [`https://example.com/${TOKEN}`, /is at example\.com, a host that is not known; write in front/],
  [
    `teams+https://example.com/${TOKEN}`,
    /\(example\.com\) begins with "teams\+", which is not known; write slack/,
  ],
  [`wecom+http://example.com/${TOKEN}`, /would be called without TLS; write https:\/\/, or #allow-http/],
  [`slack+https://u:${TOKEN}@example.com/`, /has a user or a password in its address; leave it out/],
  [
    `https://oapi.dingtalk.com/robot/send?access_token=x&secret=${SECRET}`,
    /write it behind #, as in #secret=…/,
  ],
  [`https://oapi.dingtalk.com/robot/send?access_token=x#${SECRET}`, /a part behind # that is not understood/],
  [`https://hooks.slack.com/services/${TOKEN}#secret=${SECRET}`, /takes no secret \(slack\); leave it out/],
  [`json+https://example.com/${TOKEN}`, /needs a secret of 16 characters or more.*openssl rand -hex 32/],
  [`json+https://example.com/${TOKEN}#secret=short`, /needs a secret of 16 characters or more/],
])('%# is refused with a sentence that names the host at most', (url, sentence) => {
  const said = refusalOf(url);
  expect(said).toMatch(sentence);
  expect(said).not.toContain(TOKEN);
  expect(said).not.toContain(SECRET);
});

test('all that is wrong is said at once, and so is too much', () => {
  expect(refusalOf('x y').split('\n')).toHaveLength(2);
  const many = Array.from({ length: 11 }, () => 'https://hooks.slack.com/a').join(' ');
  expect(refusalOf(many)).toBe('There are 11 receivers in IMSYNC_NOTIFY_URLS; give 10 at most.');
});

test('a file holds them one a line, and is read each time', () => {
  const { config } = loadFrom({ IMSYNC_NOTIFY_URLS_FILE: '/run/urls' });
  const files = { '/run/urls': `https://hooks.slack.com/a\nhttps://hooks.slack.com/b\n` };
  expect(readReceivers(config, memoryFiles(files)).map(({ url }) => url)).toEqual([
    'https://hooks.slack.com/a',
    'https://hooks.slack.com/b',
  ]);
  expect(() => readReceivers(config, memoryFiles({}))).toThrow(
    'The file of IMSYNC_NOTIFY_URLS_FILE cannot be read (ENOENT).',
  );
  expect(() => readReceivers(config, memoryFiles({ '/run/urls': 'https://example.com/x' }))).toThrow(
    'Receiver 1 in the file of IMSYNC_NOTIFY_URLS_FILE is at example.com',
  );
});

test('the settings show nothing of an address', () => {
  const view = maskedView(loadFrom({ IMSYNC_NOTIFY_URLS: `https://hooks.slack.com/${TOKEN}` }));
  expect(view.find(({ path }) => path === 'notify.urls')?.value).toBe('(set)');
  expect(JSON.stringify(view)).not.toContain(TOKEN);
});
