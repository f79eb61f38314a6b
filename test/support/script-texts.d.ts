/** See script-texts.js. */
export function scriptTexts(folder: URL): { name: string; lua: string; sha: string }[];
