import { computed, signal } from '@preact/signals';
import { type Catalogue, en, type MessageKey } from './en.ts';
import { fill, number, type Params } from './message.ts';

export const languages = ['en', 'zh'] as const;
export type Language = (typeof languages)[number];

const STORED = 'imsync-language';
const LOCALES: Readonly<Record<Language, string>> = { en: 'en-GB', zh: 'zh-CN' };

export const language = signal<Language>('en');
const catalogue = signal<Catalogue>(en);
const meanings = signal<Readonly<Record<string, string>>>({});
export const locale = computed(() => LOCALES[language.value]);

/** The viewer's choice, else the first language of the browser that there is. */
export function preferredLanguage(): Language {
  const wanted = [stored(), ...navigator.languages].map((tag) => tag?.slice(0, 2).toLowerCase());
  return wanted.flatMap((tag) => languages.find((known) => known === tag) ?? [])[0] ?? 'en';
}

/** Loads a language and shows it. English is always here; another one is a file of its own. */
export async function showLanguage(wanted: Language): Promise<void> {
  if (wanted === 'zh') {
    const [{ zh }, { zhMeanings }] = await Promise.all([import('./zh.ts'), import('./zh-meanings.ts')]);
    catalogue.value = zh;
    meanings.value = zhMeanings;
  } else {
    catalogue.value = en;
    meanings.value = {};
  }
  language.value = wanted;
  document.documentElement.lang = LOCALES[wanted];
}

export async function chooseLanguage(wanted: Language): Promise<void> {
  localStorage.setItem(STORED, wanted);
  await showLanguage(wanted);
}

function stored(): string | null {
  return localStorage.getItem(STORED);
}

export function t(key: MessageKey, params: Params = {}): string {
  return fill(catalogue.value[key], params, locale.value);
}

/** The message `prefix` + `name`; the name itself where this version knows none, a newer server's for instance. */
export function named(prefix: `${string}.`, name: string): string {
  const key = `${prefix}${name}`;
  return Object.hasOwn(catalogue.value, key) ? catalogue.value[key as MessageKey] : name;
}

/** What a code means, in the viewer's language where it is known, else in the server's words. */
export function meaningOf(meaning: string): string {
  return meanings.value[meaning] ?? meaning;
}

export function count(value: number): string {
  return number(value, locale.value);
}
