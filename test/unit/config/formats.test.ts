import fc from 'fast-check';
import {
  addressMatcher,
  bool,
  host,
  hostPortList,
  httpUrl,
  isLoopback,
  networkList,
  oneOf,
  orAbsent,
  redisUrl,
  redisUrlParts,
  secretList,
  share,
  wholeNumber,
  wordByKey,
} from '../../../src/config/formats.ts';

describe('whole numbers', () => {
  const format = wholeNumber(1, 100);

  test('every number in the range is read, from text and from JSON', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), (n) => {
        expect(format.fromText(String(n))).toBe(n);
        expect(format.fromJson(n)).toBe(n);
      }),
    );
  });

  test('no text is read but the plain digits of a number in the range', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = format.fromText(text);
        if (read !== undefined) expect(String(read)).toBe(text);
      }),
    );
    for (const text of ['12abc', ' 12', '12\n', '+1', '-1', '012', '1e2', '0x10', '1_0', '5.0', '٣', '101']) {
      expect(format.fromText(text)).toBeUndefined();
    }
  });

  test('JSON must hold a number, whole and in the range', () => {
    for (const value of ['12', 0, 101, 1.5, Number.NaN, null, true, [1], {}]) {
      expect(format.fromJson(value)).toBeUndefined();
    }
  });

  test('a number too large to be exact is refused', () => {
    const any = wholeNumber(1, Number.MAX_SAFE_INTEGER);
    expect(any.fromText('9007199254740993')).toBeUndefined();
    expect(any.allowed).toBe('a whole number of 1 or more');
  });
});

describe('shares', () => {
  test('every share survives its way through JSON and decimal text', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (value) => {
        expect(share.fromJson(value)).toBe(value);
        const text = value.toFixed(6);
        expect(share.fromText(text)).toBe(Number(text));
      }),
    );
  });

  test('.5 is a share; signs, exponents, percent and more than the whole are not', () => {
    expect(share.fromText('.5')).toBe(0.5);
    for (const text of ['-0.1', '1.01', '2', '1e-1', '50%', '0,5', '.', '', 'NaN', 'Infinity', '0.5x']) {
      expect(share.fromText(text)).toBeUndefined();
    }
    for (const value of ['0.5', -0.1, 1.1, Number.NaN, null]) expect(share.fromJson(value)).toBeUndefined();
  });
});

test('only true and false are booleans', () => {
  expect([bool.fromText('true'), bool.fromText('false')]).toEqual([true, false]);
  expect([bool.fromJson(true), bool.fromJson(false)]).toEqual([true, false]);
  for (const text of ['0', '1', 'yes', 'no', 'TRUE', 'False', ' true', 'on']) {
    expect(bool.fromText(text)).toBeUndefined();
  }
  for (const value of ['true', 0, 1, null]) expect(bool.fromJson(value)).toBeUndefined();
});

test('a choice takes its words as they are written', () => {
  const mode = oneOf(['standalone', 'cluster']);
  expect(mode.fromText('cluster')).toBe('cluster');
  for (const text of ['Cluster', 'cluster ', 'toString', '']) expect(mode.fromText(text)).toBeUndefined();
  expect(mode.allowed).toBe('one of standalone, cluster');
});

test('only a file can say "not given"', () => {
  const format = orAbsent(wholeNumber(1, 9), null);
  expect(format.fromJson(null)).toBeNull();
  expect(format.fromText('null')).toBeUndefined();
  expect(format.fromText('3')).toBe(3);
});

test('hosts are names or addresses', () => {
  const good = ['127.0.0.1', '::1', 'localhost', 'redis', 'my_redis-1.internal', 'a.b.c', '0.0.0.0'];
  for (const name of good) expect(host.fromText(name)).toBe(name);
  const bad = ['', '256.1.1.1', '1.2.3', 'a b', '-a', 'a..b', '[::1]', 'host:1', 'http://a', 'x'.repeat(254)];
  for (const name of bad) expect(host.fromText(name)).toBeUndefined();
});

describe('host:port lists', () => {
  const address = fc.record({
    host: fc.oneof(fc.ipV4(), fc.constantFrom('::1', 'fe80::2', 'redis-0', 'node_1.example.org')),
    port: fc.integer({ min: 1, max: 65_535 }),
  });

  test('a list is read back from text, texts and pairs', () => {
    fc.assert(
      fc.property(fc.array(address, { minLength: 1, maxLength: 5 }), (list) => {
        const texts = list.map(
          ({ host: name, port }) => `${name.includes(':') ? `[${name}]` : name}:${port}`,
        );
        expect(hostPortList.fromText(texts.join(', '))).toEqual(list);
        expect(hostPortList.fromJson(texts)).toEqual(list);
        expect(hostPortList.fromJson(list)).toEqual(list);
      }),
    );
  });

  test('a pair needs a port and takes nothing else', () => {
    const bad = ['redis', 'redis:', ':1', 'a:1,', 'a:0', 'a:65536', 'a:01', '::1:6379', 'a:1;b:2', 'u:p@a:1'];
    for (const text of bad) expect(hostPortList.fromText(text)).toBeUndefined();
    for (const value of ['a:1', [1], [null], [{ host: 'a' }], [{ host: 'a', port: '1' }], {}]) {
      expect(hostPortList.fromJson(value)).toBeUndefined();
    }
    expect(hostPortList.fromJson([{ host: 'a', port: 1, db: 2 }])).toBeUndefined();
  });
});

test('tokens are separated by commas and blanks and contain neither', () => {
  expect(secretList('tokens').fromText('one,two three\nfour')).toEqual(['one', 'two', 'three', 'four']);
  expect(secretList('tokens').fromJson(['one'])).toEqual(['one']);
  expect(secretList('tokens').fromJson([])).toEqual([]);
  for (const text of [',', ' ', 'tökén']) expect(secretList('tokens').fromText(text)).toBeUndefined();
  for (const value of ['one', ['a b'], ['a,b'], [''], [1]])
    expect(secretList('tokens').fromJson(value)).toBeUndefined();
});

test('one bad key or word refuses the whole object', () => {
  const verdicts = wordByKey('codes', /^[1-9]\d*$/, ['retry', 'app']);
  expect(verdicts.fromJson({ 70402: 'retry', 1: 'app' })).toEqual({ 70402: 'retry', 1: 'app' });
  const bad = [
    { 0: 'retry' },
    { x: 'app' },
    { 1: 'maybe' },
    [],
    null,
    'retry',
    JSON.parse('{"__proto__":"app"}'),
  ];
  for (const value of bad) expect(verdicts.fromJson(value)).toBeUndefined();
  expect(verdicts.fromText('1=app')).toBeUndefined();
});

test('isLoopback accepts only addresses of this machine', () => {
  expect(['localhost', '127.0.0.1', '127.9.9.9', '::1'].every(isLoopback)).toBe(true);
  expect(['0.0.0.0', '::', '10.0.0.1', '127.example.org'].some(isLoopback)).toBe(false);
});

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
  const parts = { isSocket: false, hasUser: true };
  expect(redisUrlParts('rediss://u:p@h/3')).toEqual({ ...parts, tls: true, hasPassword: true, database: 3 });
  expect(redisUrlParts('redis://u@h')).toEqual({ ...parts, tls: false, hasPassword: false, database: 0 });
  const socket = { isSocket: true, hasUser: false, hasPassword: false, tls: false };
  expect(redisUrlParts(redisUrl.fromText('/run/redis.sock?db=2') ?? '')).toEqual({ ...socket, database: 2 });
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

test.each([
  [['10.0.0.0/8', '192.0.2.7', 'fd00::/8'], '10.200.1.1', true],
  [['10.0.0.0/8'], '::ffff:10.1.1.1', true],
  [['10.0.0.0/8'], '11.0.0.1', false],
  [['192.0.2.7'], '192.0.2.8', false],
  [['fd00::/8'], 'fd12::1', true],
  [['fd00::/8'], 'no address', false],
  [[], '127.0.0.1', false],
])('of the networks %p, %s is one: %p', (networks, address, expected) => {
  expect(addressMatcher(networks)(address)).toBe(expected);
});

test('networks are refused that are none', () => {
  for (const bad of ['10.0.0.0/33', '10.0.0/8', '10.0.0.0/', '10.0.0.0/8/8', 'proxy', '::/129', ''])
    expect(networkList.fromText(bad)).toBeUndefined();
});
