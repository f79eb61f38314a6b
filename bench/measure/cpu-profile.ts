/** The part of a .cpuprofile (V8) that self times are read from. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly children?: readonly number[];
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** µs since the sample before. */
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  /** `function file:line`, or V8's own name in brackets. */
  readonly where: string;
  readonly micros: number;
}

/** Time in each function itself, over all profiles, most first; idle time left out. */
export function selfTimes(profiles: readonly CpuProfile[]): SelfTime[] {
  const byPlace = new Map<string, number>();
  for (const { nodes, samples, timeDeltas } of profiles) {
    const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
    for (const [i, id] of samples.entries()) {
      const place = places.get(id) ?? '(unknown)';
      byPlace.set(place, (byPlace.get(place) ?? 0) + Math.max(0, timeDeltas[i] ?? 0));
    }
  }
  byPlace.delete('(idle)');
  return [...byPlace].map(([where, micros]) => ({ where, micros })).sort((a, b) => b.micros - a.micros);
}

function placeOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const isPackage = url.includes('/node_modules/');
  const file = isPackage ? url.replace(/^.*\/node_modules\//, '') : url.replace(/^.*\/dist\//, 'dist/');
  return `${name} ${file}:${lineNumber + 1}`;
}

/**
 * Time by the worker's own function that was nearest to it on the stack: what each costs with the libraries it calls.
 * Where none of ours is on the stack (timers, sockets, BullMQ's own loops), by the package that is outermost.
 */
export function blamedTimes(profiles: readonly CpuProfile[]): SelfTime[] {
  const blamed = new Map<string, number>();
  for (const { nodes, samples, timeDeltas } of profiles) {
    const byId = new Map(nodes.map((node) => [node.id, node]));
    const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
    const cache = new Map<number, string>();
    const blame = (id: number): string => {
      let outermost = '';
      for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
        const frame = byId.get(at)?.callFrame;
        if (frame === undefined || frame.functionName === '(root)') break;
        const place = placeOf(frame);
        const owner = ownerOf(place);
        if (owner === 'imsync') return place;
        if (V8_ITSELF.has(owner)) return owner;
        if (owner !== 'native code' && owner !== 'node') outermost = `in ${owner}`;
      }
      return outermost === '' ? 'in node' : outermost;
    };
    for (const [i, id] of samples.entries()) {
      const place = cache.get(id) ?? blame(id);
      cache.set(id, place);
      blamed.set(place, (blamed.get(place) ?? 0) + Math.max(0, timeDeltas[i] ?? 0));
    }
  }
  blamed.delete('(idle)');
  return [...blamed].map(([where, micros]) => ({ where, micros })).sort((a, b) => b.micros - a.micros);
}

/** Time by who wrote the code: a package, Node, V8, or the worker itself. */
export function byOwner(times: readonly SelfTime[]): SelfTime[] {
  const owners = new Map<string, number>();
  for (const { where, micros } of times) {
    const owner = ownerOf(where);
    owners.set(owner, (owners.get(owner) ?? 0) + micros);
  }
  return [...owners].map(([where, micros]) => ({ where, micros })).sort((a, b) => b.micros - a.micros);
}

const V8_ITSELF: ReadonlySet<string> = new Set(['(idle)', '(garbage collector)', '(program)']);

function ownerOf(where: string): string {
  const file = / (\S+):\d+$/.exec(where)?.[1];
  if (file === undefined) return V8_ITSELF.has(where) ? where : 'native code';
  if (file.startsWith('dist/')) return 'imsync';
  if (file.startsWith('node:')) return 'node';
  return file.split('/', file.startsWith('@') ? 2 : 1).join('/');
}
