import { loadConfig } from '../../../src/config/load.ts';
import { chooseProxy } from '../../../src/proxy/choose-proxy.ts';

const files: Readonly<Record<string, string>> = { '/run/proxy': 'http://u:secret@file.proxy:3128\n' };

function readFile(path: string): string {
  const text = files[path];
  if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
  return text;
}

function proxyFor(target: string, env: Readonly<Record<string, string>>) {
  const { config } = loadConfig({ env, readFile });
  return chooseProxy(config, readFile, new URL(target));
}

const addressFor = (target: string, env: Readonly<Record<string, string>>): string | undefined =>
  proxyFor(target, env)?.read().href;

const API = 'https://console.tim.qq.com';

test('no variable, no proxy', () => {
  expect(proxyFor(API, {})).toBeUndefined();
});

test('HTTPS_PROXY is for https, HTTP_PROXY for http; names in lower case count first; a scheme may be missing', () => {
  const env = { HTTPS_PROXY: 'http://a:1', HTTP_PROXY: 'b.corp:3128' };
  expect(addressFor(API, env)).toBe('http://a:1/');
  expect(addressFor('http://api.corp', env)).toBe('http://b.corp:3128/');
  expect(addressFor(API, { ...env, https_proxy: 'http://c:1' })).toBe('http://c:1/');
  expect(proxyFor(API, { HTTP_PROXY: 'http://b:1' })).toBeUndefined();
});

test('IMSYNC_PROXY_URL wins, for every target, and is read anew from its file', () => {
  const env = { HTTPS_PROXY: 'http://a:1', NO_PROXY: '*' };
  expect(addressFor(API, { ...env, IMSYNC_PROXY_URL: 'socks5://d' })).toBe('socks5://d');
  expect(addressFor('http://127.0.0.1', { IMSYNC_PROXY_URL: 'http://d:1' })).toBe('http://d:1/');
  const proxy = proxyFor(API, { ...env, IMSYNC_PROXY_URL_FILE: '/run/proxy' });
  expect(proxy?.read().password).toBe('secret');
  expect(proxy?.shown()).toBe('http://u:***@file.proxy:3128');
  expect(() => proxyFor(API, { IMSYNC_PROXY_URL_FILE: '/none' })?.read()).toThrow(
    'The file of IMSYNC_PROXY_URL_FILE cannot be read (ENOENT).',
  );
});

test.each([
  ['https://console.tim.qq.com', 'qq.com', true],
  ['https://console.tim.qq.com', '.qq.com', true],
  ['https://console.tim.qq.com', '*.qq.com', true],
  ['https://console.tim.qq.com', 'CONSOLE.tim.QQ.com.', true],
  ['https://console.tim.qq.com', 'q.com,  other.com', false],
  ['https://console.tim.qq.com', 'other.com qq.com', true],
  ['https://console.tim.qq.com', 'qq.com:443', true],
  ['https://console.tim.qq.com', 'qq.com:8443', false],
  ['https://console.tim.qq.com', '*', true],
  ['https://console.tim.qq.com', '10.0.0.0/8', false],
  ['https://10.1.2.3', '10.0.0.0/8', true],
  ['https://10.1.2.3', '10.1.2.3', true],
  ['https://10.1.2.3:444', '10.1.2.3:444', true],
  ['https://10.1.2.3:444', '10.1.2.3:443', false],
  ['https://10.1.2.3', '10.1.2', false],
  ['https://10.1.2.3', '10.0.0.0/99', false],
  ['https://[fd00::5]', 'fd00::/8', true],
  ['https://[fd00::5]', '[fd00::5]', true],
  ['https://[fd00::5]', '[fd00::5]:443', true],
  ['https://[fd00::5]', '10.0.0.0/8', false],
  ['https://localhost:8080', 'none.such', true],
  ['https://127.0.0.2', 'none.such', true],
  ['https://[::1]', 'none.such', true],
])('%s with NO_PROXY=%s goes directly: %s', (target, none, isDirect) => {
  expect(proxyFor(target, { HTTPS_PROXY: 'http://a:1', NO_PROXY: none }) === undefined).toBe(isDirect);
});

test.each(['http://a:b:c', 'ftp://a', 'http://a/path', 'http://a?x', 'http://u:pa#ss@a:1', 'a'])(
  'HTTPS_PROXY=%s is refused without its password',
  (value) => {
    const load = () => loadConfig({ env: { HTTPS_PROXY: value }, readFile });
    expect(load).toThrow(/^HTTPS_PROXY is .*; it must be the address of a proxy such as/);
    expect(load).not.toThrow(/pa#ss/);
  },
);
