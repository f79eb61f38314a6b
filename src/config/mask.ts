import type { LoadedConfig } from './load.ts';
import { type PlacedSetting, settings, valueAt } from './settings.ts';
import { shown } from './shown.ts';

/** A setting for people's eyes. */
export interface MaskedSetting {
  readonly path: string;
  /** Its environment variable, `''` for what only a file can say. */
  readonly variable: string;
  /** Its value as text: secrets as `(set)`, addresses without their password, nothing as `(not set…)`. */
  readonly value: string;
  readonly origin: string;
  readonly doc: string;
}

/** Every setting with where it comes from; free of secrets. */
export function maskedView(loaded: LoadedConfig): readonly MaskedSetting[] {
  return settings.map((setting) => ({
    path: setting.path,
    variable: setting.env,
    value: masked(setting, valueAt(loaded.config, setting.path) ?? setting.default),
    origin: loaded.origins[setting.path] ?? 'default',
    doc: setting.doc,
  }));
}

function masked({ hidden, default: fallback, defaultText }: PlacedSetting, value: unknown): string {
  const left = defaultText !== undefined && value === fallback;
  return left ? `(not set: ${defaultText})` : shown(hidden, value);
}
