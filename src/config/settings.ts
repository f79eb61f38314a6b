import type { Format, Setting } from './formats.ts';
import { schema } from './schema.ts';

/** A leaf of the schema with its path, such as `redis.url`. */
export interface PlacedSetting extends Setting<unknown> {
  readonly path: string;
}

/** All settings, in the order of the schema. */
export const settings: readonly PlacedSetting[] = [...leaves(schema, '')];

/** A secret and the setting that names its file. Only one of the two may be given. */
export interface SecretTwin {
  readonly inline: PlacedSetting;
  readonly file: PlacedSetting;
}

export const secretTwins: readonly SecretTwin[] = settings.flatMap((inline) => {
  const file = settings.find((other) => other.path === `${inline.path}File`);
  return inline.hidden === 'value' && file !== undefined ? [{ inline, file }] : [];
});

/** The value of a tree at a path such as `redis.url`, or undefined. */
export function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (isTree(node) ? node[key] : undefined), tree);
}

/** Whether a value is an object and not a list. */
export function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function* leaves(node: object, path: string): Generator<PlacedSetting> {
  for (const [key, value] of Object.entries(node)) {
    const place = path === '' ? key : `${path}.${key}`;
    if (isSetting(value)) yield { ...value, path: place };
    else yield* leaves(value, place);
  }
}

/** Whether a node of the schema is a setting, and not a group of settings. */
export function isSetting(node: object): node is Setting<unknown> {
  return 'reader' in node && typeof (node.reader as Format<unknown>).fromJson === 'function';
}
