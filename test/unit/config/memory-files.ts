import type { ReadFile } from '../../../src/config/config.ts';
import { type LoadedConfig, loadConfig, type Sources } from '../../../src/config/load.ts';

/** Files in memory; any other path does not exist. */
export function memoryFiles(files: Readonly<Record<string, string>>): ReadFile {
  return (path) => {
    const content = files[path];
    if (content === undefined) throw Object.assign(new Error(`no file ${path}`), { code: 'ENOENT' });
    return content;
  };
}

/** Loads from an environment and from files in memory; the configuration's folder is `/config`. */
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
