import { readAnswer } from '../../../src/im/answers.ts';
import { oneLine, withoutUsers } from '../../../src/im/redact.ts';

const users = Array.from({ length: 20 }, (_, i) => `customer-number-${1_000 + i}`);

test('a text that is cut names no part of a user, wherever the cut falls', () => {
  for (let before = 0; before < 30; before++) {
    const text = oneLine(`${'x'.repeat(before)} denied for ${users.join(',')}`);
    expect(text).toHaveLength(300);
    const clean = withoutUsers(text, users);
    expect(clean).toMatch(/^(x+ )?denied for (\(user\),?)+…$/);
  }
});

test('nor does a page of an error that is mostly markup', () => {
  for (let before = 8_100; before < 8_192; before += 5) {
    const page = `<style>${'x'.repeat(before - 15)}</style>${users.join(',')} ${'y'.repeat(9_000)}`;
    const answer = readAnswer(502, {}, page);
    expect(withoutUsers(answer.kind === 'http' ? answer.errorInfo : '', users)).not.toMatch(/custo/);
  }
});

test('a text that fits is not changed, and a user of few characters goes as a word only', () => {
  expect(oneLine('UserSig is illegal')).toBe('UserSig is illegal');
  expect(withoutUsers('bob is not bobby', ['bob'])).toBe('(user) is not bobby');
});
