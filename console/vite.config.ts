import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

/** The console that answers `api/` while the page is worked on. */
const target = process.env.CONSOLE_URL;

/** Packages that the built page holds. Their licences want to be where they are. */
const BUNDLED = ['preact', '@preact/signals', '@preact/signals-core', 'uplot'];

const licences: Plugin = {
  name: 'licences',
  generateBundle() {
    const texts = BUNDLED.map((name) => {
      const path = join(import.meta.dirname, '../node_modules', name, 'LICENSE');
      return `${name}\n\n${readFileSync(path, 'utf8')}`;
    });
    this.emitFile({ type: 'asset', fileName: 'licenses.txt', source: texts.join('\n\n') });
  },
};

/** Builds the page into dist/console/page, beside the rest of the package. */
export default defineConfig({
  root: import.meta.dirname,
  // The server puts its own path into <base>; everything else is relative to it.
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    outDir: '../dist/console/page',
    // The server's modules stand there as well; `npm run build` begins with an empty dist.
    emptyOutDir: false,
    // Nothing inline: the Content-Security-Policy allows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    reportCompressedSize: false,
  },
  publicDir: false,
  plugins: [licences],
  ...(target !== undefined && {
    server: {
      proxy: { '/api': { target, changeOrigin: true, headers: { origin: new URL(target).origin } } },
    },
  }),
});
