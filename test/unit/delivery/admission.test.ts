import { Admission, type Release } from '../../../src/delivery/admission.ts';

const roomOf = (places: number, patienceMs = 60_000): Admission => new Admission({ places, patienceMs });

/** Asks, and tells what came of it so far. */
function entering(room: Admission, kind = 'live') {
  const asked = { release: undefined as Release | 'closing' | undefined };
  void room.acquire(kind).then((release) => {
    asked.release = release;
  });
  return asked;
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const isIn = ({ release }: { release: Release | 'closing' | undefined }): boolean =>
  typeof release === 'function';

it('lets so many of a kind get ready, the others in their order as places are left', async () => {
  const room = roomOf(2);
  const all = Array.from({ length: 5 }, () => entering(room));
  await settled();
  expect(all.map(isIn)).toEqual([true, true, false, false, false]);
  const release = all[0]?.release;
  if (typeof release !== 'function') throw new Error('not in');
  release();
  release();
  await settled();
  expect(all.map(isIn)).toEqual([true, true, true, false, false]);
  room.close();
});

it('keeps places for every kind', async () => {
  const room = roomOf(1);
  const [redrive, live, again] = [entering(room, 'redrive'), entering(room), entering(room, 'again')];
  const second = entering(room);
  await settled();
  expect([redrive, live, again, second].map(isIn)).toEqual([true, true, true, false]);
  room.close();
});

it('lets nobody wait for ever for a run that does not end, and does not count them twice when it does', async () => {
  const room = roomOf(1, 5);
  const [first, second] = [entering(room), entering(room)];
  await settled();
  expect([first, second].map(isIn)).toEqual([true, false]);
  while (!isIn(second)) await settled();
  const third = entering(room);
  if (typeof first.release === 'function') first.release();
  await settled();
  // Still one more than there are places.
  expect(isIn(third)).toBe(false);
  room.close();
});

it('tells who waits and who comes that the process stops', async () => {
  const room = roomOf(1);
  const [first, second] = [entering(room), entering(room)];
  await settled();
  room.close();
  await settled();
  expect([isIn(first), second.release]).toEqual([true, 'closing']);
  expect(await room.acquire('live')).toBe('closing');
});
