import { signal } from '@preact/signals';

/** What an act led to, said at the edge of the page until it is read. */
export interface Note {
  readonly id: number;
  readonly tone: 'good' | 'bad';
  readonly text: string;
}

/** Good news goes by itself; bad news stays until it is dismissed. */
const STAYS_MS = 8_000;

export const notes = signal<readonly Note[]>([]);
let last = 0;

export function note(tone: Note['tone'], text: string): void {
  last++;
  const id = last;
  notes.value = [...notes.peek().slice(-3), { id, tone, text }];
  if (tone === 'good') setTimeout(() => dismiss(id), STAYS_MS);
}

export function dismiss(id: number): void {
  notes.value = notes.peek().filter((one) => one.id !== id);
}
