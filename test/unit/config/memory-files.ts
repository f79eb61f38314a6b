import { type LoadedConfig, loadConfig, type Sources } from '../../../src/config/load.ts';
import type { ReadFile } from '../../../src/config/read-file.ts';

/** Files that exist only here; whatever else is asked for is not there. */
export function memoryFiles(files: Readonly<Record<string, string>>): ReadFile {
  return (path) => {
    const content = files[path];
    if (content === undefined) throw Object.assign(new Error(`no file ${path}`), { code: 'ENOENT' });
    return content;
  };
}

/** Loads from an environment and from files in memory, the configuration's folder being `/config`. */
export function loadFrom(
  env: Sources['env'],
  files: Readonly<Record<string, unknown>> = {},
  configFile?: string,
): LoadedConfig {
  const texts = Object.entries(files).map(([path, content]): [string, string] => [
    path,
    typeof content === 'string' ? content : JSON.stringify(content),
  ]);
  const readFile = memoryFiles(Object.fromEntries(texts));
  return loadConfig({ env, configDir: '/config', readFile, ...(configFile !== undefined && { configFile }) });
}
