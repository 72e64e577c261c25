// SPDX-License-Identifier: Apache-2.0
// Builds the page into the Python package, or into the directory that is named: four files, of no other host's.
import { build } from 'esbuild';
import { cp, mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import process from 'node:process';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const page = process.argv[2] ?? here('../src/nullmodem/frontends/web/page');

await rm(page, { recursive: true, force: true });
await mkdir(page, { recursive: true });
await build({
	entryPoints: { page: here('src/main.jsx') },
	outdir: page,
	bundle: true,
	minify: true,
	format: 'esm',
	target: ['chrome110', 'firefox110', 'safari16.4'],
	jsx: 'automatic',
	jsxImportSource: 'preact',
	legalComments: 'eof',
	logLevel: 'warning',
});
for (const name of ['index.html', 'icon.svg']) {
	await cp(here(`src/${name}`), `${page}/${name}`);
}
