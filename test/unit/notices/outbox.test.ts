import type { News } from '../../../src/notices/notice.ts';
import { nextFor, type Outbox, pruned, withNews, without } from '../../../src/notices/outbox.ts';

const APP = 1;
const news = (at: number): News => ({ kind: 'hold', at, title: 'T', text: 'L', facts: {} });
const empty: Outbox = { next: 1, queued: [] };
const idsFor = (outbox: Outbox, receiver: string) => nextFor(outbox, receiver, APP).map(({ id }) => id);

test('each receiver gets every notice once, in order, whatever the others do', () => {
  let outbox = withNews(empty, [news(0), news(0)], ['a', 'b']);
  outbox = without(outbox, 'a', nextFor(outbox, 'a', APP));
  outbox = withNews(outbox, [news(0)], ['a', 'b']);
  expect([idsFor(outbox, 'a'), idsFor(outbox, 'b')]).toEqual([['3'], ['1', '2', '3']]);
  outbox = without(outbox, 'b', nextFor(outbox, 'b', APP));
  outbox = without(outbox, 'a', nextFor(outbox, 'a', APP));
  expect(outbox).toEqual({ next: 4, queued: [] });
});

test('a notice is given up after an hour, and the oldest when there are too many', () => {
  const old = withNews(empty, [news(0)], ['a', 'b']);
  expect(pruned(old, ['a', 'b'], 3_599_999).outbox).toEqual(old);
  const late = pruned(without(old, 'b', nextFor(old, 'b', APP)), ['a', 'b'], 3_600_000);
  expect(late.dropped.map(({ receiverId }) => receiverId)).toEqual(['a']);
  expect(late.outbox.queued).toEqual([]);
  const many = withNews(
    empty,
    Array.from({ length: 60 }, () => news(0)),
    ['a'],
  );
  const { outbox, dropped } = pruned(many, ['a'], 0);
  expect([outbox.queued.length, outbox.queued[0]?.notice.id, dropped.length]).toEqual([50, '11', 10]);
});

test('what is for a receiver that is configured no longer is given up, and said', () => {
  const { outbox, dropped } = pruned(withNews(empty, [news(0)], ['gone', 'a']), ['a'], 0);
  expect(outbox.queued.map(({ left }) => left)).toEqual([['a']]);
  expect(dropped.map(({ receiverId, notice }) => [receiverId, notice.id])).toEqual([['gone', '1']]);
  const all = pruned(withNews(empty, [news(0)], ['gone', 'gone-too']), ['a'], 0);
  expect(all.outbox).toEqual({ next: 2, queued: [] });
  expect(all.dropped.map(({ receiverId }) => receiverId)).toEqual(['gone', 'gone-too']);
});
