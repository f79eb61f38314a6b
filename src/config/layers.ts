import { quoted } from './mask.ts';
import { isTree, type PlacedSetting, settings } from './settings.ts';

/** What one source says: the accepted values and their origins by path, and a sentence per problem. */
export interface Layer {
  readonly values: ReadonlyMap<string, unknown>;
  readonly origins: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** Variables that are no settings: they choose the file to read. */
const environmentVariables = ['IMSYNC_ENV'] as const;

const byPath = new Map(settings.map((setting) => [setting.path, setting]));
const byVariable = new Map(settings.filter(({ env }) => env !== '').map((setting) => [setting.env, setting]));

/** Reads the parsed content of a JSON file. The sentences call the file `name`. */
export function fileLayer(name: string, content: unknown): Layer {
  if (!isTree(content)) return refused([`${name} must hold a JSON object with the settings.`]);
  const values = new Map<string, unknown>();
  const problems: string[] = [];
  const walk = (node: Record<string, unknown>, prefix: string): void => {
    for (const [key, value] of Object.entries(node)) {
      const path = prefix + key;
      const setting = byPath.get(path);
      if (setting === undefined) {
        if (!isGroup(path)) problems.push(unknownKey(name, prefix, key));
        else if (isTree(value)) walk(value, `${path}.`);
        else problems.push(`${path} in ${name} must be an object that holds ${keysOf(path).join(', ')}.`);
        continue;
      }
      const known = setting.reader.fromJson(value);
      if (known === undefined) problems.push(sentence(setting, `${path} in ${name}`, value));
      else values.set(path, known);
    }
  };
  walk(content, '');
  return { values, origins: new Map([...values.keys()].map((path) => [path, `file ${name}`])), problems };
}

/**
 * Reads the `IMSYNC_*` variables. An empty variable counts as not given, since compose files write it so.
 * An unknown variable is refused even if it is empty.
 */
export function environmentLayer(env: Readonly<Record<string, string | undefined>>): Layer {
  const values = new Map<string, unknown>();
  const origins = new Map<string, string>();
  const problems: string[] = [];
  for (const [name, given] of Object.entries(env)) {
    if (!name.startsWith('IMSYNC_') || environmentVariables.some((known) => known === name)) continue;
    const setting = byVariable.get(name);
    if (setting === undefined) {
      problems.push(unknownVariable(name));
      continue;
    }
    if (given === undefined || given === '') continue;
    const known = setting.reader.fromText(given);
    if (known === undefined) problems.push(sentence(setting, name, given) + kubernetesHint(given));
    else {
      values.set(setting.path, known);
      origins.set(setting.path, `environment ${name}`);
    }
  }
  return { values, origins, problems };
}

/** A layer without values, only with problems. */
export function refused(problems: readonly string[]): Layer {
  return { values: new Map(), origins: new Map(), problems };
}

function sentence(setting: PlacedSetting, subject: string, given: unknown): string {
  const secret = setting.hidden === 'value' || setting.hidden === 'path';
  const what = secret
    ? 'has a value that is not accepted (not shown)'
    : `is ${quoted(setting.hidden, given)}`;
  const words = setting.reader.words;
  const guess = typeof given === 'string' && words !== undefined ? suggestion(given, words) : '';
  return `${subject} ${what}; it must be ${setting.reader.allowed}.${guess}`;
}

function unknownVariable(name: string): string {
  const guess = suggestion(name, [...byVariable.keys(), ...environmentVariables]);
  const service =
    /^IMSYNC_(?:\w+_)?(?:SERVICE_(?:HOST|PORT)(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)\w*)?)$/.test(name);
  const help = service ? ` ${kubernetes}` : guess || " The README's table lists all of them.";
  return `${name} is not a variable of imsync.${help}`;
}

function unknownKey(file: string, prefix: string, key: string): string {
  const siblings = keysOf(prefix.slice(0, -1));
  const guess = suggestion(key, siblings) || ` Known here: ${siblings.join(', ')}.`;
  return `${prefix}${key} in ${file} is not a setting of imsync.${guess}`;
}

const kubernetes =
  'Kubernetes sets such variables for a Service of that name: say enableServiceLinks: false in the pod.';

function kubernetesHint(given: string): string {
  return /^(?:tcp|udp|sctp):\/\//.test(given) ? ` ${kubernetes}` : '';
}

function isGroup(path: string): boolean {
  return settings.some((setting) => setting.path.startsWith(`${path}.`));
}

/** The keys directly under a group; `''` is the root. */
function keysOf(group: string): string[] {
  const prefix = group === '' ? '' : `${group}.`;
  const inside = settings.filter((setting) => setting.path.startsWith(prefix));
  return [...new Set(inside.map((setting) => setting.path.slice(prefix.length).split('.')[0] ?? ''))];
}

/** ` Did you mean X?` for the candidate that differs only in case or separators; `''` if there is none. */
function suggestion(given: string, candidates: readonly string[]): string {
  const bare = (name: string): string => name.toLowerCase().replaceAll(/[_.-]/g, '');
  const meant = candidates.find((candidate) => bare(candidate) === bare(given));
  return meant === undefined ? '' : ` Did you mean ${meant}?`;
}
