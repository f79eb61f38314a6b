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

/** Builds a nested object from values by path. */
export function treeOf(values: Iterable<readonly [path: string, value: unknown]>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [path, value] of values) {
    const keys = path.split('.');
    const last = keys.pop() ?? path;
    let node = root;
    for (const key of keys) {
      const next = isTree(node[key]) ? node[key] : {};
      node[key] = next;
      node = next;
    }
    node[last] = value;
  }
  return root;
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

function isSetting(node: object): node is Setting<unknown> {
  return 'reader' in node && typeof (node.reader as Format<unknown>).fromJson === 'function';
}
