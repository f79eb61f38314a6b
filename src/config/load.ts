import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import convict from 'convict';
import { type Config, type ReadFile, refuseOn } from './config.ts';
import { quoted } from './mask.ts';
import { isSetting, isTree, type PlacedSetting, type Setting, schema, settings, valueAt } from './schema.ts';
import { errorCode } from './secrets.ts';

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

/** A configuration file with the accepted part of its content. */
interface ConfigFile {
  readonly name: string;
  readonly tree: object;
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
  const problems: string[] = [];
  const files = readFiles(sources, problems);
  const variables = readVariables(sources.env, problems);
  // convict gets values that are read already, since it coerces texts and names no source.
  const holder = convict<Config>(schema, { env: variables as NodeJS.ProcessEnv, args: [] });
  for (const { tree } of files) holder.load(tree);
  const config = holder.getProperties();
  const originOf = ({ env, path }: PlacedSetting): string => {
    if (env in variables) return `environment ${env}`;
    const file = files.findLast(({ tree }) => valueAt(tree, path) !== undefined);
    return file === undefined ? 'default' : `file ${file.name}`;
  };
  for (const secret of settings) {
    const file = settings.find(
      ({ path, reader }) => path === `${secret.path}File` && reader.hidden === 'path',
    );
    const isGiven = ({ path }: PlacedSetting): boolean => String(valueAt(config, path)) !== '';
    if (file === undefined || !isGiven(secret) || !isGiven(file)) continue;
    problems.push(
      `${secret.env} (from ${originOf(secret)}) and ${file.env} (from ${originOf(file)}) are both given; give one of them.`,
    );
  }
  refuseOn(problems);
  const origins = Object.fromEntries(settings.map((setting) => [setting.path, originOf(setting)]));
  return { config, origins };
}

/** Reads the files in the order in which they override each other. Adds a sentence for each problem. */
function readFiles(sources: Sources, problems: string[]): ConfigFile[] {
  const { env, configFile, configDir = packagedDir, readFile } = sources;
  const files: ConfigFile[] = [];
  const read = (name: string, path: string, isOptional: boolean): void => {
    const content = parsedFile(name, path, isOptional, readFile, problems);
    if (isTree(content)) files.push({ name, tree: accepted(name, content, schema, '', problems) });
    else if (content !== undefined) problems.push(`${name} must hold a JSON object with the settings.`);
  };
  read('default.json', join(configDir, 'default.json'), true);
  const chosenBy = env.IMSYNC_ENV ? 'IMSYNC_ENV' : 'NODE_ENV';
  const environment = env[chosenBy] ?? '';
  if (/^[\w-]+$/.test(environment)) read(`${environment}.json`, join(configDir, `${environment}.json`), true);
  else if (environment !== '') {
    const given = JSON.stringify(environment);
    problems.push(`${chosenBy} is ${given}; it must be a name of letters, digits, _ and -.`);
  }
  if (configFile !== undefined) read(configFile, configFile, false);
  return files;
}

/** Parses a file; undefined if that fails or the file is optional and missing. */
function parsedFile(
  name: string,
  path: string,
  isOptional: boolean,
  readFile: ReadFile,
  problems: string[],
): unknown {
  let text: string;
  try {
    text = readFile(path).replace(/^\uFEFF/, '');
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOENT' || !isOptional)
      problems.push(`The configuration file ${name} cannot be read (${code}).`);
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // Only the position is taken from the parser's message: the rest may quote a secret of the file.
    const position = /at position (\d+)/.exec(String(error))?.[1];
    const line = position === undefined ? '' : text.slice(0, Number(position)).split('\n').length;
    problems.push(`The configuration file ${name} is not valid JSON${line && ` (line ${line})`}.`);
    return undefined;
  }
}

/** The settings of a file that are known and have an accepted value, as the formats have read them. */
function accepted(
  file: string,
  content: Record<string, unknown>,
  group: object,
  prefix: string,
  problems: string[],
): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(content)) {
    const path = prefix + key;
    const place: object | undefined = Object.getOwnPropertyDescriptor(group, key)?.value;
    if (place === undefined) {
      const known = Object.keys(group);
      const guess = suggestion(key, known) || ` Known here: ${known.join(', ')}.`;
      problems.push(`${path} in ${file} is not a setting of imsync.${guess}`);
    } else if (isSetting(place)) {
      const known = place.reader.fromJson(value);
      if (known === undefined) problems.push(refusal(place, `${path} in ${file}`, value));
      else tree[key] = known;
    } else if (isTree(value)) tree[key] = accepted(file, value, place, `${path}.`, problems);
    else problems.push(`${path} in ${file} must be an object that holds ${Object.keys(place).join(', ')}.`);
  }
  return tree;
}

/** Variables that are no settings: they choose the file to read. */
const environmentVariables = ['IMSYNC_ENV'];

const byVariable = new Map(settings.filter(({ env }) => env !== '').map((setting) => [setting.env, setting]));

/**
 * Reads the `IMSYNC_*` variables, and those of proxies, whose lower-case names count first as in other
 * programs. An empty variable counts as not given, since compose files write it so. An unknown variable is
 * refused even if it is empty.
 */
function readVariables(env: Sources['env'], problems: string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const shared = [...byVariable.keys()].filter((name) => !name.startsWith('IMSYNC_'));
  const ofOthers = shared.map((name) => [name, env[name.toLowerCase()] || env[name]] as const);
  const own = Object.entries(env).filter(([name]) => name.startsWith('IMSYNC_'));
  for (const [name, given] of [...own, ...ofOthers]) {
    if (environmentVariables.includes(name)) continue;
    const setting = byVariable.get(name);
    if (setting === undefined) problems.push(unknownVariable(name));
    if (setting === undefined || given === undefined || given === '') continue;
    const value = setting.reader.fromText(given);
    if (value !== undefined) values[name] = value;
    else {
      const hint = /^(?:tcp|udp|sctp):\/\//.test(given) ? ` ${kubernetes}` : '';
      problems.push(refusal(setting, name, given) + hint);
    }
  }
  return values;
}

function refusal({ reader }: Setting<unknown>, subject: string, given: unknown): string {
  const { hidden, allowed, words = [], faultOf } = reader;
  const fault = typeof given === 'string' ? faultOf?.(given.trim()) : undefined;
  if (fault !== undefined) return `${subject} is not accepted (not shown): ${fault}.`;
  const isSecret = hidden === 'value' || hidden === 'path';
  const what = isSecret ? 'has a value that is not accepted (not shown)' : `is ${quoted(hidden, given)}`;
  const guess = typeof given === 'string' ? suggestion(given, words) : '';
  return `${subject} ${what}; it must be ${allowed}.${guess}`;
}

const kubernetes =
  'Kubernetes sets such variables for a Service of that name: say enableServiceLinks: false in the pod.';

function unknownVariable(name: string): string {
  const guess = suggestion(name, [...byVariable.keys(), ...environmentVariables]);
  const isOfService =
    /^IMSYNC_(?:\w+_)?(?:SERVICE_(?:HOST|PORT)(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)\w*)?)$/.test(name);
  const help = isOfService ? ` ${kubernetes}` : guess || ' docs/configuration.md lists all of them.';
  return `${name} is not a variable of imsync.${help}`;
}

/** ` Did you mean X?` for the candidate that differs only in case or separators; `''` if there is none. */
function suggestion(given: string, candidates: readonly string[]): string {
  const bare = (name: string): string => name.toLowerCase().replaceAll(/[_.-]/g, '');
  const meant = candidates.find((candidate) => bare(candidate) === bare(given));
  return meant === undefined ? '' : ` Did you mean ${meant}?`;
}
