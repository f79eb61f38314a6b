import { suggestion } from './nearest.ts';
import { isTree, type PlacedSetting, settings } from './settings.ts';
import { quoted } from './shown.ts';

/** What one source says: accepted values by path, where each stands, and what is wrong with the rest. */
export interface Layer {
  readonly values: ReadonlyMap<string, unknown>;
  readonly origins: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** Variables that are read before any setting: they choose the file. */
const environmentVariables = ['IMSYNC_ENV'] as const;

const byPath = new Map(settings.map((setting) => [setting.path, setting]));
const byVariable = new Map(settings.filter(({ env }) => env !== '').map((setting) => [setting.env, setting]));

/** Reads the parsed contents of a JSON file; `name` is how the sentences call the file. */
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
 * Reads the `IMSYNC_*` variables. An empty one counts as not given, as compose files write it; an unknown one
 * is refused even so.
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

/** A layer that says nothing but what is wrong with it. */
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

/** The keys directly under a group; of the root for `''`. */
function keysOf(group: string): string[] {
  const prefix = group === '' ? '' : `${group}.`;
  const inside = settings.filter((setting) => setting.path.startsWith(prefix));
  return [...new Set(inside.map((setting) => setting.path.slice(prefix.length).split('.')[0] ?? ''))];
}
