/**
 * Checks deploy/kustomize: every kustomization is built, and every resource is held against the schemas that the package
 * kubernetes-models was made of (Kubernetes' own OpenAPI document, and the PodMonitor of the Prometheus operator).
 * A field that the schemas do not know is a problem, as with `kubeconform -strict`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, filesOf, readResources } from './kustomize.js';

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
const folder = join(root, 'deploy/kustomize');

/** @type {Record<string, () => Promise<Record<string, any>>>} models by `apiVersion` */
const MODELS = {
  v1: () => import('kubernetes-models/v1'),
  'apps/v1': () => import('kubernetes-models/apps/v1'),
  'networking.k8s.io/v1': () => import('kubernetes-models/networking.k8s.io/v1'),
  'policy/v1': () => import('kubernetes-models/policy/v1'),
  'monitoring.coreos.com/v1': () => import('@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'),
};

/** @type {string[]} */
const problems = [];
let checked = 0;

const overlays = readdirSync(join(folder, 'overlays')).map((name) => join(folder, 'overlays', name));
for (const kustomization of [join(folder, 'base'), ...overlays]) {
  try {
    for (const resource of build(kustomization)) await check(resource, relative(root, kustomization));
  } catch (error) {
    problems.push(/** @type {Error} */ (error).message);
  }
}
for (const resource of readResources(join(folder, 'secret.example.yaml')))
  await check(resource, 'secret.example.yaml');

// A file that nothing names is applied by nobody.
const used = new Set([join(folder, 'secret.example.yaml'), ...overlays.flatMap(filesOf)]);
for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
  if (name.endsWith('.yaml') && !used.has(join(folder, name)))
    problems.push(`${name}: no kustomization names it`);

/** @param {import('./kustomize.js').Resource} resource @param {string} where */
async function check(resource, where) {
  const what = `${where}: ${resource.kind} ${resource.metadata?.name}`;
  const model = (await MODELS[resource.apiVersion]?.())?.[resource.kind];
  if (model === undefined) {
    problems.push(`${what}: there is no schema for ${resource.apiVersion} ${resource.kind}`);
    return;
  }
  checked += 1;
  const { seen, unread } = watch(resource);
  try {
    model.prototype.validate.call(seen);
  } catch (error) {
    problems.push(`${what}: ${/** @type {Error} */ (error).message}`);
    return;
  }
  for (const path of unread()) problems.push(`${what}: ${path} is no field of its schema`);
}

/**
 * The validators take unknown fields, as a server does that is older than a manifest. But they read each field that they know:
 * a field that was never read is an unknown one.
 *
 * @param {any} value
 */
function watch(value, path = '') {
  /** @type {Set<string | symbol>} */
  const read = new Set();
  /** @type {Map<string, ReturnType<typeof watch>>} */
  const inner = new Map();
  if (typeof value !== 'object' || value === null) return { seen: value, unread: () => [] };
  for (const [key, child] of Object.entries(value)) inner.set(key, watch(child, `${path}/${key}`));
  const seen = new Proxy(value, {
    get(target, key) {
      read.add(key);
      return inner.get(String(key))?.seen ?? Reflect.get(target, key);
    },
  });
  /** @returns {string[]} */
  const unread = () =>
    [...inner].flatMap(([key, child]) => (read.has(key) ? child.unread() : [`${path}/${key}`]));
  return { seen, unread };
}

for (const problem of problems) process.stderr.write(`${problem}\n`);
if (problems.length > 0 || !existsSync(folder)) process.exit(1);
process.stdout.write(`${checked} Kubernetes resources fit their schemas\n`);
