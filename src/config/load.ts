import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import convict from 'convict';
import type { Config } from './config.ts';
import { refuseOn } from './config-error.ts';
import { environmentLayer, fileLayer, type Layer, refused } from './layers.ts';
import { type ReadFile, readJson } from './read-file.ts';
import { schema } from './schema.ts';
import type { FullConfig } from './setting.ts';
import { secretTwins, settings, treeOf } from './settings.ts';

export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file of `--config`. */
  readonly configFile?: string;
  /** Where default.json and the files by environment are; the package's own `config/` if not given. */
  readonly configDir?: string;
  readonly readFile: ReadFile;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Path of a setting to `default`, `file <name>` or `environment <variable>`. */
  readonly origins: Readonly<Record<string, string>>;
}

/** `config/` at the top of the package: two folders up from src/config and from dist/config alike. */
const packagedDir = fileURLToPath(new URL('../../config', import.meta.url));

/**
 * The configuration from, each overriding those before: the schema's defaults, `default.json`, the file of the
 * environment (IMSYNC_ENV, else NODE_ENV) if there is one, the file of `--config`, environment variables.
 *
 * Files of secrets are not read here, see `readSecrets`. Throws ConfigError with all that is wrong at once.
 */
export function loadConfig(sources: Sources): LoadedConfig {
  const values = new Map<string, unknown>(settings.map(({ path, default: value }) => [path, value]));
  const origins = new Map<string, string>(settings.map(({ path }) => [path, 'default']));
  const problems: string[] = [];
  for (const layer of layersOf(sources)) {
    for (const [path, value] of layer.values) values.set(path, merged(path, values.get(path), value));
    for (const [path, origin] of layer.origins) origins.set(path, origin);
    problems.push(...layer.problems);
  }
  problems.push(...givenTwice(values, origins));
  refuseOn(problems);
  return deepFreeze({ config: checked(values), origins: Object.fromEntries(origins) });
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

/** `absent` is the answer for a file that is not there; without it that is a problem like any other. */
function readLayer(name: string, path: string, readFile: ReadFile, absent?: Layer): Layer {
  const read = readJson(path, readFile);
  if ('content' in read) return fileLayer(name, read.content);
  return read.missing && absent !== undefined
    ? absent
    : refused([`The configuration file ${name} ${read.problem}.`]);
}

/** Overrides of verdicts add up over the files; everything else is replaced. */
function merged(path: string, before: unknown, value: unknown): unknown {
  return path === 'verdicts' ? { ...Object(before), ...Object(value) } : value;
}

function givenTwice(values: ReadonlyMap<string, unknown>, origins: ReadonlyMap<string, string>): string[] {
  const given = (path: string): boolean => String(values.get(path) ?? '') !== '';
  return secretTwins
    .filter(({ inline, file }) => given(inline.path) && given(file.path))
    .map(
      ({ inline, file }) =>
        `${inline.env} (from ${origins.get(inline.path)}) and ${file.env} (from ${origins.get(file.path)}) are both given; give one of them.`,
    );
}

/** convict's own check of the whole against the schema: a fault that it finds here is one of this room. */
function checked(values: ReadonlyMap<string, unknown>): Config {
  const holder = convict<FullConfig>(schema, { env: {}, args: [] });
  holder.load(treeOf(values)).validate({ allowed: 'strict' });
  const full = holder.getProperties();
  const set = Object.entries(full.quota.perSecond).filter(([, perSecond]) => perSecond !== null);
  return { ...full, quota: { ...full.quota, perSecond: Object.fromEntries(set) } };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
