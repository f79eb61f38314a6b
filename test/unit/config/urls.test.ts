import { httpUrl, redisUrl, redisUrlParts } from '../../../src/config/urls.ts';

test('valid Redis addresses are accepted, others are refused', () => {
  const good = [
    'redis://127.0.0.1:6379',
    'redis://redis',
    'rediss://user:p%40ss@my_redis.example.org:6380/2',
    'redis://:secret@[::1]:6379/0',
    'redis://localhost/?family=6',
  ];
  for (const address of good) expect(redisUrl.fromText(address)).toBe(address);
  const bad = [
    'localhost:6379',
    'redis:6379',
    'redis://',
    'http://localhost',
    'REDIS://localhost',
    'redis://a b',
    'redis://host/x',
    'redis://host/12345',
    'redis://host:99999',
    'redis://host:0',
    'redis://host#1',
    'redis://host?tls=false',
    'redis://:%zz@host',
    'redis://a,b',
    ' redis://host',
    '',
  ];
  for (const address of bad) expect(redisUrl.fromText(address)).toBeUndefined();
  expect(redisUrl.fromJson(6379)).toBeUndefined();
});

test('a Redis address is taken apart', () => {
  expect(redisUrlParts('rediss://u:p@h/3')).toEqual({ tls: true, hasPassword: true, database: 3 });
  expect(redisUrlParts('redis://u@h')).toEqual({ tls: false, hasPassword: false, database: 0 });
});

test('a base address loses only its final slash', () => {
  expect(httpUrl.fromText('https://console.tim.qq.com')).toBe('https://console.tim.qq.com');
  expect(httpUrl.fromText('http://127.0.0.1:8080/')).toBe('http://127.0.0.1:8080');
  expect(httpUrl.fromText('https://proxy.example.org/im//')).toBe('https://proxy.example.org/im');
  const bad = [
    'console.tim.qq.com',
    'ftp://h',
    'https://u:p@h',
    'https://h?a=1',
    'https://h#a',
    'https://',
    '',
  ];
  for (const address of bad) expect(httpUrl.fromText(address)).toBeUndefined();
});
