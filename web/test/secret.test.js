// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert';
import { test } from 'node:test';
import { Connection } from '../src/connection.js';
import { NO_SECRET, keptSecret } from '../src/secret.js';

test('the secret goes from the address into the tab, and a later address replaces it', () => {
	const kept = new Map();
	const storage = { setItem: (name, value) => kept.set(name, value), getItem: (name) => kept.get(name) ?? null };
	const shown = [];
	const history = { replaceState: (state, title, address) => shown.push(address) };
	assert.strictEqual(keptSecret({ hash: '', pathname: '/' }, history, storage), null);
	assert.strictEqual(keptSecret({ hash: '#abc', pathname: '/' }, history, storage), 'abc');
	assert.strictEqual(keptSecret({ hash: '', pathname: '/' }, history, storage), 'abc');
	assert.strictEqual(keptSecret({ hash: '#def', pathname: '/' }, history, storage), 'def');
	assert.deepStrictEqual(shown, ['/', '/']);
});

test('without it nothing is tried, and what to do is said', async () => {
	const told = [];
	const made = new Connection(() => NO_SECRET, () => {}, (...is) => told.push(is));
	assert.deepStrictEqual(told, [[false, NO_SECRET]]);
	await assert.rejects(made.ask('threads'));
	made.again();
	assert.strictEqual(told.length, 2);
});
