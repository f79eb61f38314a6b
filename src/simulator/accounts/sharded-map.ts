const SHARDS = 256;

/**
 * A map by text whose growth never stalls: a Map of a million entries takes up to 100 ms to grow, in
 * which no arrival would be stamped; a shard of it takes less than one. Iterates in no order.
 */
export class ShardedMap<V> implements ReadonlyMap<string, V> {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, V>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return this.#shardOf(key).get(key);
  }

  has(key: string): boolean {
    return this.#shardOf(key).has(key);
  }

  set(key: string, value: V): void {
    const shard = this.#shardOf(key);
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
  }

  delete(key: string): boolean {
    const found = this.#shardOf(key).delete(key);
    if (found) this.#size -= 1;
    return found;
  }

  clear(): void {
    for (const shard of this.#shards) shard.clear();
    this.#size = 0;
  }

  forEach(visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  *entries(): Generator<[string, V], undefined> {
    for (const shard of this.#shards) yield* shard.entries();
  }

  *keys(): Generator<string, undefined> {
    for (const shard of this.#shards) yield* shard.keys();
  }

  *values(): Generator<V, undefined> {
    for (const shard of this.#shards) yield* shard.values();
  }

  [Symbol.iterator](): Generator<[string, V], undefined> {
    return this.entries();
  }

  #shardOf(key: string): Map<string, V> {
    let hash = 0;
    for (let i = 0; i < key.length; i += 1) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
    // The high bits mix better than the low ones, which the last letters alone decide.
    const shard = this.#shards[(hash ^ (hash >>> 15)) & (SHARDS - 1)];
    if (shard === undefined) throw new Error('a shard is missing');
    return shard;
  }
}
