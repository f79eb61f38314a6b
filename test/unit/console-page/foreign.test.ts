import { piecesOf } from '../../../console/src/ui/foreign.ts';

const shown = (text: string): string =>
  piecesOf(text)
    .map((piece) => piece.text)
    .join('');

test('what prints stays as it is', () => {
  expect(piecesOf('李雷 <b>& é 🙂')).toEqual([{ text: '李雷 <b>& é 🙂', isEscaped: false }]);
  expect(piecesOf('')).toEqual([]);
});

test('what does not print, or turns the text around, is shown as its number', () => {
  expect(shown('a\u202eb\u0000c\n')).toBe('a\\u{202e}b\\u{0}c\\u{a}');
  expect(shown('\ud83d')).toBe('\\u{d83d}');
  expect(piecesOf('a\u202eb')[1]).toEqual({ text: '\\u{202e}', isEscaped: true });
});
