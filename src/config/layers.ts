import type { Setting } from './formats.ts';
import { quoted } from './mask.ts';
import { schema } from './schema.ts';
import { isSetting, isTree, settings } from './settings.ts';

/** The settings of one source: the accepted values with their origin by path, and a sentence per problem. */
export interface Layer {
  readonly values: ReadonlyMap<string, { readonly value: unknown; readonly origin: string }>;
  readonly problems: readonly string[];
}

/** Variables that are no settings: they choose the file to read. */
const environmentVariables = ['IMSYNC_ENV'] as const;

const byVariable = new Map(settings.filter(({ env }) => env !== '').map((setting) => [setting.env, setting]));

/** Reads the parsed content of a JSON file. The sentences call the file `name`. */
export function fileLayer(name: string, content: unknown): Layer {
  if (!isTree(content)) return refused([`${name} must hold a JSON object with the settings.`]);
  const values = new Map<string, { value: unknown; origin: string }>();
  const problems: string[] = [];
  const walk = (node: Record<string, unknown>, group: object, prefix: string): void => {
    for (const [key, value] of Object.entries(node)) {
      const path = prefix + key;
      const place: object | undefined = Object.getOwnPropertyDescriptor(group, key)?.value;
      if (place === undefined) problems.push(unknownKey(name, path, key, Object.keys(group)));
      else if (isSetting(place)) {
        const known = place.reader.fromJson(value);
        if (known === undefined) problems.push(sentence(place, `${path} in ${name}`, value));
        else values.set(path, { value: known, origin: `file ${name}` });
      } else if (isTree(value)) walk(value, place, `${path}.`);
      else problems.push(`${path} in ${name} must be an object that holds ${Object.keys(place).join(', ')}.`);
    }
  };
  walk(content, schema, '');
  return { values, problems };
}

/**
 * Reads the `IMSYNC_*` variables. An empty variable counts as not given, since compose files write it so.
 * An unknown variable is refused even if it is empty.
 */
export function environmentLayer(env: Readonly<Record<string, string | undefined>>): Layer {
  const values = new Map<string, { value: unknown; origin: string }>();
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
    else values.set(setting.path, { value: known, origin: `environment ${name}` });
  }
  return { values, problems };
}

/** A layer without values, only with problems. */
export function refused(problems: readonly string[]): Layer {
  return { values: new Map(), problems };
}

function sentence(setting: Setting<unknown>, subject: string, given: unknown): string {
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

function unknownKey(file: string, path: string, key: string, siblings: readonly string[]): string {
  const guess = suggestion(key, siblings) || ` Known here: ${siblings.join(', ')}.`;
  return `${path} in ${file} is not a setting of imsync.${guess}`;
}

const kubernetes =
  'Kubernetes sets such variables for a Service of that name: say enableServiceLinks: false in the pod.';

function kubernetesHint(given: string): string {
  return /^(?:tcp|udp|sctp):\/\//.test(given) ? ` ${kubernetes}` : '';
}

/** ` Did you mean X?` for the candidate that differs only in case or separators; `''` if there is none. */
function suggestion(given: string, candidates: readonly string[]): string {
  const bare = (name: string): string => name.toLowerCase().replaceAll(/[_.-]/g, '');
  const meant = candidates.find((candidate) => bare(candidate) === bare(given));
  return meant === undefined ? '' : ` Did you mean ${meant}?`;
}
