import type { AppRedis } from '../../redis/keys.ts';
import { fieldsOf } from '../../redis/script.ts';

/** A time in which the fleet was held, paused or throttled. ms since 1970, Redis's clock. */
export interface Band {
  readonly kind: 'hold' | 'pause' | 'throttle';
  readonly from: number;
  /** Null while it lasts. */
  readonly to: number | null;
  /** hold: kind, errorCode, errorInfo. pause: by, reason. throttle: command, lowestRate. */
  readonly values: Readonly<Record<string, string | number | null>>;
}

const MOST = 250;

/** Those that last and those that ended last, oldest first. */
export async function readBands({ redis, keys }: AppRedis): Promise<Band[]> {
  const [open, past] = await Promise.all([
    redis.hgetall(keys.openBands),
    redis.xrevrange(keys.bands, '+', '-', 'COUNT', MOST),
  ]);
  const ended = past.map(([, flat]): Band => {
    const { kind, from, to, values } = fieldsOf<Record<'kind' | 'from' | 'to' | 'values', string>>(flat);
    return { kind: kind as Band['kind'], from: Number(from), to: Number(to), values: JSON.parse(values) };
  });
  const lasting = Object.entries(open).map(([kind, json]): Band => {
    const { from, values } = JSON.parse(json) as { from: string; values: Band['values'] };
    return { kind: kind as Band['kind'], from: Number(from), to: null, values };
  });
  return [...ended, ...lasting].sort((a, b) => a.from - b.from);
}
