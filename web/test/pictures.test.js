// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert';
import { test } from 'node:test';
import { action } from '../src/keys.js';
import { layout, locate } from '../src/map.js';
import { address, memory, placed, short, visible } from '../src/text.js';
import { appended, firstFrom, linesOf, MOST, neighbour, positions, stretches } from '../src/timeline.js';

const BASE = 0xffffffffc0200000n;

function module(name, ...sections) {
	return { name, sections: sections.map(([start, size], index) => ({ name: `.s${index}`, start: `0x${(BASE + start).toString(16)}`, size })) };
}

test('sections stand in rows to scale, and what nobody uses is left out', () => {
	const map = layout([module('a', [0n, 4096], [4096n, 2048]), module('b', [0x100000n, 1024])], 8);
	assert.strictEqual(map.rowBytes, 4096);
	assert.deepStrictEqual(map.rows.map(({ start, gap }) => gap ?? start - BASE), [0n, 4096n, 0x100000 - 8192, 0x100000n]);
	assert.deepStrictEqual(map.rows[1].spans.map(({ from, to }) => [from, to]), [[0, 0.5]]);
	assert.deepStrictEqual(map.rows[3].spans.map(({ module: { name }, to }) => [name, to]), [['b', 0.25]]);
});

test('rows grow until all modules have room, and a section over several rows is in each', () => {
	const modules = Array.from({ length: 200 }, (_, index) => module(`m${index}`, [BigInt(index) * 0x31000n, 40000]));
	const { rows, rowBytes } = layout(modules, 10);
	assert.ok(rows.filter(({ start }) => start !== undefined).length <= 10);
	assert.strictEqual(Math.log2(rowBytes) % 1, 0);
	const seen = new Set(rows.flatMap(({ spans = [] }) => spans.map((span) => span.module.name)));
	assert.strictEqual(seen.size, 200);
	const long = layout([module('long', [2048n, 8192])], 8);
	assert.deepStrictEqual(long.rows.map(({ spans }) => spans.map(({ from, to }) => [from, to])), [[[0.5, 1]], [[0, 1]], [[0, 0.5]]]);
});

test('an absurd section costs no time, and one that is nowhere is not drawn', () => {
	const absurd = module('absurd', [0n, 2 ** 40], [8n, 0]);
	absurd.sections.push({ name: 'x', start: 'nonsense', size: 4 }, { name: 'y', start: null, size: 4 });
	const { rows } = layout([absurd], 8);
	assert.ok(rows.length <= 9);
	assert.deepStrictEqual(layout([], 8).rows, []);
});

test('an address is found in its row, to the byte', () => {
	const map = layout([module('a', [0n, 8192])], 8);
	assert.deepStrictEqual(locate(map, `0x${(BASE + 4097n).toString(16)}`), { row: 1, x: 1 / 4096 });
	assert.strictEqual(locate(map, '0x1000'), null);
	assert.strictEqual(locate(map, undefined), null);
});

test('time between entries is seen, a long one shorter than it was', () => {
	const entries = [0, 0, 0.001, 1, 3601].map((time, seq) => ({ seq, time, kind: 'console' }));
	const places = positions(entries);
	const steps = [...places].slice(1).map((place, index) => place - places[index]);
	assert.ok(steps.every((step, index) => index === 0 || step > steps[index - 1]), steps);
	assert.ok(steps[0] > 0 && steps[3] <= 48);
	assert.deepStrictEqual([firstFrom(places, -1), firstFrom(places, places[2]), firstFrom(places, 1e9)], [0, 2, 5]);
	assert.ok(positions([{ time: 5 }, { time: 1 }])[1] > 0);
});

test('the timeline keeps the newest, and an entry that grows stays one', () => {
	let entries = [];
	for (let seq = 0; seq < MOST + 5; seq++) {
		entries = appended(entries, [{ seq }]);
	}
	assert.deepStrictEqual([entries.length, entries[0].seq, entries.at(-1).seq], [MOST, 5, MOST + 4]);
	entries = appended(entries, [{ seq: MOST + 2, text: 'less' }, { seq: MOST + 2, text: 'more' }]);
	assert.deepStrictEqual([entries.length, entries.at(-3).text, entries.at(-1).seq], [MOST, 'more', MOST + 4]);
});

test('many entries of one moment are taken in at once', () => {
	const news = Array.from({ length: MOST + 10 }, (_, seq) => ({ seq }));
	assert.deepStrictEqual([appended([], news).length, appended([], news)[0].seq], [MOST, 10]);
	assert.deepStrictEqual(appended([{ seq: 1 }, { seq: 3 }], [{ seq: 4 }, { seq: 2 }]).map(({ seq }) => seq), [1, 2, 3, 4]);
});

test('an entry of several lines is listed line by line', () => {
	const lines = linesOf([{ seq: 1, text: 'a\nb' }, { seq: 2, text: 'c' }]);
	assert.deepStrictEqual(lines.map(({ entry, text }) => [entry.seq, text]), [[1, 'a'], [1, 'b'], [2, 'c']]);
	assert.strictEqual(new Set(lines.map(({ key }) => key)).size, 3);
});

test('stretches are what lies between stops and resumes', () => {
	const entries = [['load'], ['stop', 1], ['wire'], ['resume'], ['stop', 2]].map(([kind, stop = null], seq) => ({ seq, kind, stop }));
	assert.deepStrictEqual(stretches(entries, [0, 10, 20, 30, 40], 50), [
		{ state: 'stopped', from: 10, stop: 1, to: 30 },
		{ state: 'running', from: 30, stop: null, to: 40 },
		{ state: 'stopped', from: 40, stop: 2, to: 50 },
	]);
	assert.deepStrictEqual([neighbour(entries, 2, -1)?.stop, neighbour(entries, 2, 1), neighbour(entries, null, -1)?.stop], [1, null, 2]);
});

test('nothing that comes from the target is unseen', () => {
	assert.strictEqual(visible('a\x1b[31m\u202eb\u200b\n<b>'), 'a\\x1b[31m\\u{202e}b\\u{200b}\\x0a<b>');
	assert.strictEqual(visible(null), '');
	assert.strictEqual(placed({ function: 'f\x07', file: '/x/y.c', line: 3 }), 'f\\x07, y.c:3');
	assert.strictEqual(placed({ function: null, file: null, pc: '0x1' }), '0x1');
});

test('numbers are short, addresses exact', () => {
	assert.deepStrictEqual([0, 999, 1234, 61200, 5.6e6, NaN].map(short), ['0', '999', '1.2k', '61k', '5.6M', '']);
	assert.deepStrictEqual([512, 4096, 1536, 3 * 2 ** 20].map(memory), ['512', '4K', '1.5K', '3M']);
	assert.strictEqual(address('0xffffffffc0208001'), 0xffffffffc0208001n);
	assert.deepStrictEqual(['', '1', '0x', '0xg', '0x11111111111111111', null].map(address), [null, null, null, null, null, null]);
});

test('keys do what they say, letters only where nothing is typed', () => {
	const press = (key, more = {}) => ({ key, ctrlKey: false, altKey: false, metaKey: false, shiftKey: false, ...more });
	assert.strictEqual(action(press('F5'), true), 'continue');
	assert.strictEqual(action(press('F11', { shiftKey: true }), false), 'finish');
	assert.strictEqual(action(press('F11'), false), 'step');
	assert.strictEqual(action(press('n'), false), 'next');
	assert.strictEqual(action(press('n'), true), null);
	assert.strictEqual(action(press('c', { ctrlKey: true }), false), null);
	assert.strictEqual(action(press('?', { shiftKey: true }), false), 'help');
	assert.strictEqual(action(press('Escape'), true), null);
});
