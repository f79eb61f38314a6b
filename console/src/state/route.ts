import { signal } from '@preact/signals';

/**
 * Where the viewer is: the part of the address behind `#`. So every view has a link, and the page works under
 * any path without knowing it.
 */
export interface Route {
  /** `/dead-letters/1743700123000-0` is two parts. */
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

export const route = signal<Route>(parse(location.hash));

addEventListener('hashchange', () => {
  route.value = parse(location.hash);
});

function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const parts = path.split('/').filter((part) => part !== '');
  return { path: parts.map(decoded), query: Object.fromEntries(new URLSearchParams(query)) };
}

/** A link may be cut or mistyped. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export type Query = Readonly<Record<string, string | undefined>>;

/** Empty values are left out, so that one view has one address. */
export function link(path: readonly string[], query: Query = {}): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => (pair[1] ?? '') !== '');
  const search = given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
  return `#/${path.map(encodeURIComponent).join('/')}${search}`;
}

export function go(path: readonly string[], query: Query = {}): void {
  location.hash = link(path, query);
}

/** Changes the view's own state; *back* leads to the view before it. */
export function setQuery(changes: Query): void {
  const { path, query } = route.peek();
  replace(path, { ...query, ...changes });
}

/** Shows another view in place of this one: *back* does not return to it. */
export function replace(path: readonly string[], query: Query = {}): void {
  history.replaceState(null, '', link(path, query));
  route.value = parse(location.hash);
}
