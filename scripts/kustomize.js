/**
 * Builds a kustomization as `kubectl kustomize` does, as far as deploy/kustomize needs it, so that it can be checked where
 * neither kubectl nor kustomize is installed. What it does not know it refuses. Where kubectl is there, a test compares the two.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** @typedef {Record<string, any>} Resource */

const KINDS = new Map([
  ['kustomize.config.k8s.io/v1beta1', 'Kustomization'],
  ['kustomize.config.k8s.io/v1alpha1', 'Component'],
]);

/** @param {string} folder with a kustomization.yaml @returns {Resource[]} */
export function build(folder) {
  return apply(folder, 'Kustomization', []);
}

/** @param {string} file @returns {Resource[]} throws on YAML that is none, and on a key that stands twice */
export function readResources(file) {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw new Error(`${file}: ${problem.message}`);
    return document.toJS();
  });
}

/**
 * @param {string} folder
 * @param {string} kind Kustomization or Component
 * @param {Resource[]} before what a component is applied to
 */
function apply(folder, kind, before) {
  const file = join(folder, 'kustomization.yaml');
  const [{ apiVersion, kind: found, ...fields }] = readResources(file);
  if (found !== kind || KINDS.get(apiVersion) !== kind) throw new Error(`${file}: it is no ${kind}`);
  const { resources = [], components = [], patches = [], images = [], namespace, ...unknown } = fields;
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new Error(`${file}: scripts/kustomize.js does not know ${name}`);

  let all = [...before];
  for (const path of resources) {
    const target = join(folder, path);
    all.push(...(statSync(target).isDirectory() ? build(target) : readResources(target)));
  }
  for (const path of components) all = apply(join(folder, path), 'Component', all);
  for (const patch of patches) all = patched(all, join(folder, patch.path), patch.target);
  for (const one of all) {
    if (namespace !== undefined) one.metadata.namespace = namespace;
    for (const container of one.spec?.template?.spec?.containers ?? []) setImage(container, images);
  }
  return all;
}

/** @param {Resource} container @param {{ name: string, newName?: string, newTag?: string }[]} images */
function setImage(container, images) {
  const [, name, tag] = /^(.+?):([^:/]+)$/.exec(container.image) ?? [];
  const image = images.find((one) => one.name === name);
  if (image !== undefined) container.image = `${image.newName ?? name}:${image.newTag ?? tag}`;
}

/** @param {Resource[]} all @param {string} file @param {{ kind: string, name: string } | undefined} target */
function patched(all, file, target) {
  const [patch] = readResources(file);
  const { kind, name } = target ?? { kind: patch.kind, name: patch.metadata?.name };
  const hit = all.filter((one) => one.kind === kind && one.metadata.name === name);
  if (hit.length !== 1) throw new Error(`${file}: it fits ${hit.length} resources called ${kind} ${name}`);
  return all.map((one) => {
    if (one !== hit[0]) return one;
    return Array.isArray(patch)
      ? patch.reduce((now, step) => changed(now, step, file), one)
      : merged(one, patch, file);
  });
}

/** One step of a JSON patch (RFC 6902). @param {Resource} resource @param {any} step @param {string} file */
function changed(resource, { op, path, value, ...unknown }, file) {
  const result = structuredClone(resource);
  const keys = path
    .split('/')
    .slice(1)
    .map((/** @type {string} */ key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop();
  const parent = keys.reduce((/** @type {any} */ at, /** @type {string} */ key) => at?.[key], result);
  const isThere = parent !== undefined && last in parent;
  const isNew =
    op === 'add' && (last === '-' ? Array.isArray(parent) : parent !== undefined && !Array.isArray(parent));
  if (Object.keys(unknown).length > 0 || !(isNew || (isThere && (op === 'replace' || op === 'remove'))))
    throw new Error(`${file}: ${op} ${path} cannot be done`);
  if (op === 'remove') delete parent[last];
  else if (last === '-') parent.push(value);
  else parent[last] = value;
  return result;
}

/** A patch that looks like the resource: objects are merged. Lists would need merge keys. @param {any} one @param {any} patch @param {string} file @returns {any} */
function merged(one, patch, file) {
  if (Array.isArray(patch)) throw new Error(`${file}: a list is changed by a JSON patch only`);
  if (typeof patch !== 'object' || patch === null || typeof one !== 'object') return patch;
  const entries = Object.entries(patch).map(([key, value]) => [key, merged(one[key], value, file)]);
  return { ...one, ...Object.fromEntries(entries) };
}

/** @param {string} folder @returns {string[]} its kustomization.yaml, the files that it names, and those of the folders that it names */
export function filesOf(folder) {
  const [{ resources = [], components = [], patches = [] }] = readResources(
    join(folder, 'kustomization.yaml'),
  );
  const named = [
    ...resources,
    ...components,
    ...patches.map((/** @type {{ path: string }} */ { path }) => path),
  ];
  return [
    join(folder, 'kustomization.yaml'),
    ...named
      .map((path) => join(folder, path))
      .flatMap((path) => (statSync(path).isDirectory() ? filesOf(path) : [path])),
  ];
}
