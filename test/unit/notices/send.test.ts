import type { Receiver } from '../../../src/config/receivers.ts';
import type { Notice } from '../../../src/notices/notice.ts';
import { send } from '../../../src/notices/send.ts';
import { says, startWebhook, type Webhook } from '../../support/webhook.ts';

const TOKEN = 'tok/8f2e6a90C4d17b35';
const SECRET = 'SEC=5a1f';
const NOTICE: Notice = { id: '1', kind: 'test', at: 0, title: 'T', text: 'L', facts: {} };

let hook: Webhook;
beforeEach(async () => {
  hook = await startWebhook(says(''));
});
afterEach(() => hook.close());

function sent(more: Partial<Receiver> = {}): Promise<string | undefined> {
  const url = `${hook.url}/robot/${encodeURIComponent(TOKEN)}?access_token=${encodeURIComponent(TOKEN)}`;
  return send({ id: 'dingtalk-1', kind: 'dingtalk', url, host: 'x', secret: SECRET, ...more }, [NOTICE], 1);
}

test('a token across the place where the words are cut is hidden whole', async () => {
  for (const before of [170, 190, 280, 295]) {
    hook.answer = says({ errcode: 1, errmsg: `${'x'.repeat(before)} ${TOKEN}` });
    const words = await sent();
    expect(words).toMatch(/^its answer says 1: x+/);
    expect(words).not.toContain('tok');
  }
});

test('an answer that repeats the whole request shows neither token nor secret nor signature', async () => {
  hook.answer = (response) => {
    const { url } = hook.received.at(-1) ?? { url: '' };
    const decoded = decodeURIComponent(decodeURIComponent(url));
    const errmsg = `${url} ${decoded} ${url.toLowerCase()} ${SECRET} ${encodeURIComponent(SECRET)}`;
    response.end(JSON.stringify({ errcode: 310000, errmsg }));
  };
  const words = (await sent())?.toLowerCase();
  const sign = new URL(hook.url + hook.received[0]?.url).searchParams.get('sign') ?? '';
  expect(sign).toHaveLength(44);
  for (const hidden of ['8f2e6a90', SECRET, sign, encodeURIComponent(sign)])
    expect(words).not.toContain(hidden.toLowerCase());
  expect(words).toContain('/robot/***');
});

test('what would falsify a terminal or forge a line does not come through', async () => {
  hook.answer = says({ errcode: 1, errmsg: 'a\u001b]0;owned\u0007b\u001b[2Jc\u202ed\n✓ all is well' });
  expect(await sent()).toBe('its answer says 1: a ]0;owned b [2Jc d ✓ all is well');
});

test('a port that no HTTP client calls is named as the cause', async () => {
  expect(await sent({ url: 'http://127.0.0.1:6000/x' })).toBe(
    'it cannot be called (no HTTP client calls this port)',
  );
});
