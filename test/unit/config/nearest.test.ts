import fc from 'fast-check';
import { nearest, suggestion } from '../../../src/config/nearest.ts';
import { settings } from '../../../src/config/settings.ts';

const variables = settings.map(({ env }) => env).filter((env) => env !== '');

test('a variable with one slip finds itself', () => {
  fc.assert(
    fc.property(fc.constantFrom(...variables), fc.nat(), (name, at) => {
      const place = 'IMSYNC_'.length + (at % (name.length - 'IMSYNC_'.length));
      const dropped = name.slice(0, place) + name.slice(place + 1);
      const swapped =
        name.slice(0, place - 1) + name.charAt(place) + name.charAt(place - 1) + name.slice(place + 1);
      const doubled = name.slice(0, place) + name.slice(place, place + 1) + name.slice(place);
      for (const slip of [dropped, doubled, swapped]) {
        if (!variables.includes(slip)) expect(nearest(slip, variables)).toBe(name);
      }
    }),
  );
});

test('separators and case do not count', () => {
  expect(nearest('imsync_batchMaxSize', variables)).toBe('IMSYNC_BATCH_MAX_SIZE');
});

test('what is far from everything gets no suggestion', () => {
  expect(nearest('IMSYNC_COLOUR', variables)).toBeUndefined();
  expect(suggestion('x', ['standalone'])).toBe('');
  expect(suggestion('standalon', ['standalone'])).toBe(' Did you mean standalone?');
});
