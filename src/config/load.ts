import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import convict from 'convict';
import { type Config, type FullConfig, type ReadFile, refuseOn } from './config.ts';
import { environmentLayer, fileLayer, type Layer, refused } from './layers.ts';
import { schema } from './schema.ts';
import { errorCode } from './secrets.ts';
import { secretTwins, settings } from './settings.ts';

export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file of `--config`. */
  readonly configFile?: string;
  /** The folder of default.json and of the files by environment. Default: the package's own `config/`. */
  readonly configDir?: string;
  readonly readFile: ReadFile;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The source of each setting by its path: `default`, `file <name>` or `environment <variable>`. */
  readonly origins: Readonly<Record<string, string>>;
}

/** `config/` at the top of the package: two folders up, both from src/config and from dist/config. */
const packagedDir = fileURLToPath(new URL('../../config', import.meta.url));

/**
 * Loads the configuration. Each source overrides those before it: the schema's defaults, `default.json`, the
 * file of the environment (IMSYNC_ENV, else NODE_ENV) if it exists, the file of `--config`, the variables.
 *
 * Files of secrets are not read here but by `readSecrets`. Throws one ConfigError with all problems.
 */
export function loadConfig(sources: Sources): LoadedConfig {
  const holder = convict<FullConfig>(schema, { env: {}, args: [] });
  const current = (path: string): unknown => holder.get(path as never);
  const origins = new Map<string, string>(settings.map(({ path }) => [path, 'default']));
  const problems: string[] = [];
  for (const layer of layersOf(sources)) {
    for (const [path, { value, origin }] of layer.values) {
      holder.set(path as never, merged(path, current(path), value) as never);
      origins.set(path, origin);
    }
    problems.push(...layer.problems);
  }
  problems.push(...givenTwice(current, origins));
  refuseOn(problems);
  // The layers have refused every wrong value, since convict coerces texts and names no source. A fault that
  // convict finds here is a bug in this folder.
  const full = holder.validate({ allowed: 'strict' }).getProperties();
  const set = Object.entries(full.quota.perSecond).filter(([, perSecond]) => perSecond !== null);
  const config: Config = { ...full, quota: { ...full.quota, perSecond: Object.fromEntries(set) } };
  return deepFreeze({ config, origins: Object.fromEntries(origins) });
}

function layersOf({ env, configFile, configDir = packagedDir, readFile }: Sources): Layer[] {
  const layers = [optionalFile(configDir, 'default.json', readFile)];
  const chosenBy = env.IMSYNC_ENV ? 'IMSYNC_ENV' : 'NODE_ENV';
  const environment = env[chosenBy] ?? '';
  if (/^[\w-]+$/.test(environment)) layers.push(optionalFile(configDir, `${environment}.json`, readFile));
  else if (environment !== '') {
    const given = JSON.stringify(environment);
    layers.push(refused([`${chosenBy} is ${given}; it must be a name of letters, digits, _ and -.`]));
  }
  if (configFile !== undefined) layers.push(readLayer(configFile, configFile, readFile));
  layers.push(environmentLayer(env));
  return layers;
}

function optionalFile(dir: string, name: string, readFile: ReadFile): Layer {
  return readLayer(name, join(dir, name), readFile, refused([]));
}

/** Reads and parses a JSON file. A missing file is a problem unless `absent` stands for it. */
function readLayer(name: string, path: string, readFile: ReadFile, absent?: Layer): Layer {
  let text: string;
  try {
    text = readFile(path).replace(/^\uFEFF/, '');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' && absent !== undefined) return absent;
    return refused([`The configuration file ${name} cannot be read (${code}).`]);
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    // Only the position is taken from the parser's message: the rest quotes the file, which may hold a
    // secret.
    const position = /at position (\d+)/.exec(String(error))?.[1];
    const line = position === undefined ? '' : text.slice(0, Number(position)).split('\n').length;
    return refused([`The configuration file ${name} is not valid JSON${line && ` (line ${line})`}.`]);
  }
  return fileLayer(name, content);
}

/** Verdicts of several files are merged; any other setting is replaced. */
function merged(path: string, before: unknown, value: unknown): unknown {
  return path === 'verdicts' ? { ...Object(before), ...Object(value) } : value;
}

function givenTwice(current: (path: string) => unknown, origins: ReadonlyMap<string, string>): string[] {
  const given = (path: string): boolean => String(current(path) ?? '') !== '';
  return secretTwins
    .filter(({ inline, file }) => given(inline.path) && given(file.path))
    .map(
      ({ inline, file }) =>
        `${inline.env} (from ${origins.get(inline.path)}) and ${file.env} (from ${origins.get(file.path)}) are both given; give one of them.`,
    );
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
