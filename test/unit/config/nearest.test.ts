import fc from 'fast-check';
import { nearest, suggestion } from '../../../src/config/nearest.ts';
import { settings } from '../../../src/config/settings.ts';

const variables = settings.map(({ env }) => env).filter((env) => env !== '');

/** One letter is missing, too many, another one, or two stand in each other's place. */
function isOneSlipAway(a: string, b: string): boolean {
  let same = 0;
  while (same < Math.min(a.length, b.length) && a[same] === b[same]) same++;
  const [restA, restB] = [a.slice(same), b.slice(same)];
  const turned = `${restA.charAt(1)}${restA.charAt(0)}${restA.slice(2)}`;
  return [
    restA.slice(1) === restB,
    restA === restB.slice(1),
    restA.slice(1) === restB.slice(1),
    turned === restB,
  ].some(Boolean);
}

test('a variable with one slip finds itself', () => {
  fc.assert(
    fc.property(fc.constantFrom(...variables), fc.nat(), (name, at) => {
      const place = 'IMSYNC_'.length + (at % (name.length - 'IMSYNC_'.length));
      const dropped = name.slice(0, place) + name.slice(place + 1);
      const swapped =
        name.slice(0, place - 1) + name.charAt(place) + name.charAt(place - 1) + name.slice(place + 1);
      const doubled = name.slice(0, place) + name.slice(place, place + 1) + name.slice(place);
      for (const slip of [dropped, doubled, swapped]) {
        const near = variables.filter((other) => isOneSlipAway(other, slip));
        // Two variables may be as near as each other (…_NODES without its last letter, and …_MODE).
        if (!variables.includes(slip)) expect(near).toContain(nearest(slip, variables));
        if (!variables.includes(slip)) expect(near).toContain(name);
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
