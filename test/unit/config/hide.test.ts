import { hide, secretsInAddress } from '../../../src/config/hide.ts';

const TOKEN = 'a/B+c d%2Fé=1';
const address = `https://user:pass%40word@hooks.example.com/robot/tok%2Fen-1/x?access_token=${encodeURIComponent(TOKEN)}&k=ab`;

test('an address gives up its user, password, path and query', () => {
  expect(secretsInAddress(address)).toEqual(
    expect.arrayContaining(['user', 'pass%40word', 'tok%2Fen-1', TOKEN, 'ab']),
  );
  expect(secretsInAddress(address)).not.toContain('robot');
  expect(secretsInAddress('not a url PASSWORDTOK')).toEqual(['not a url PASSWORDTOK']);
});

test.each([
  ['as the address writes it', encodeURIComponent(TOKEN)],
  ['decoded', TOKEN],
  ['in another letter case', TOKEN.toUpperCase()],
  ['a segment of the path', 'tok%2Fen-1'],
  ['a decoded segment', 'TOK/EN-1'],
  ['a password', 'pass@word'],
  ['a short one', 'ab'],
])('%s it is hidden', (_how, text) => {
  expect(hide(`the token (${text}) is wrong`, secretsInAddress(address))).toBe('the token (***) is wrong');
});

test('a short secret inside of a word, and the words of an address that are none, stay', () => {
  expect(hide('the robot is not able', secretsInAddress(address))).toBe('the robot is not able');
});

test('a secret as JSON writes it is hidden; characters of regular expressions mean nothing', () => {
  expect(hide('say \\"a.b\\" or axb', ['"a.b"'])).toBe('say *** or axb');
});
