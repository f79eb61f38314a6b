import { randomUUID } from 'node:crypto';
import { createCallClaims } from '../../../src/intake/cut.ts';

/** UUIDs whose first part counts: 00000001-…, 00000002-…. */
function counted(): () => string {
  let number = 0;
  return () => {
    number += 1;
    return `${String(number).padStart(8, '0')}-abcd-4000-8000-000000000000`;
  };
}

it('names a call by its process and its number, and each run anew', () => {
  const next = createCallClaims(counted());
  expect([next(), next()]).toEqual([
    { callId: 'c00000001abcd-1', run: '00000002-abcd-4000-8000-000000000000' },
    { callId: 'c00000001abcd-2', run: '00000003-abcd-4000-8000-000000000000' },
  ]);
});

it('names no two calls and no two runs the same', () => {
  const next = createCallClaims(randomUUID);
  const claims = Array.from({ length: 2_000 }, next);
  expect(new Set(claims.map(({ callId }) => callId)).size).toBe(2_000);
  expect(new Set(claims.map(({ run }) => run)).size).toBe(2_000);
});

it('names them otherwise in every process, and after every start', () => {
  const uuid = counted();
  const claims = [createCallClaims(uuid), createCallClaims(uuid)].flatMap((next) => [next(), next()]);
  expect(new Set(claims.map(({ callId }) => callId)).size).toBe(4);
  expect(new Set(claims.map(({ run }) => run)).size).toBe(4);
});

it('makes names short, and without a colon, which the ID of a job must not hold', () => {
  const next = createCallClaims(randomUUID);
  for (let i = 0; i < 100; i++) expect(next().callId).toMatch(/^c[0-9a-f]{12}-[0-9a-z]{1,2}$/);
});
