// A lock file can miss the entries of other platforms' optional packages; then `npm ci` fails elsewhere.
import { readFileSync } from 'node:fs';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const paths = Object.keys(packages);
if (paths.length < 2) throw new Error('package-lock.json lists no packages');

/** npm looks for a dependency beside the package, then in every folder above. */
const isLocked = (from, name) => {
  const parts = from.split('/node_modules/');
  for (let depth = parts.length; depth >= 0; depth--) {
    const base = parts.slice(0, depth).join('/node_modules/');
    if (`${base === '' ? '' : `${base}/`}node_modules/${name}` in packages) return true;
  }
  return false;
};

const missing = [];
for (const path of paths) {
  for (const name of Object.keys(packages[path].optionalDependencies ?? {})) {
    if (!isLocked(path, name)) missing.push(`${name}, wanted by ${path || 'this package'}`);
  }
}
for (const line of missing) process.stderr.write(`package-lock.json has no entry for ${line}\n`);
if (missing.length > 0) process.exit(1);
process.stdout.write(`${paths.length} locked packages, every optional one has its entry\n`);
