/** Loaded before a process's own modules: at its end it says which drivers of databases were loaded. */
import { createRequire } from 'node:module';

const { cache } = createRequire(import.meta.url);
process.on('exit', () => {
  const paths = Object.keys(cache);
  const drivers = ['pg', 'mysql2'].filter((name) =>
    paths.some((path) => path.includes(`/node_modules/${name}/`)),
  );
  process.stderr.write(`drivers: ${drivers.join(', ') || 'none'}\n`);
});
