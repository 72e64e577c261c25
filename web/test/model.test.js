// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert';
import { test } from 'node:test';
import { Model, sameFile } from '../src/model.js';
import { rows } from '../src/tree.js';

/** A model, and the questions it has: `answer(what, result)` answers the oldest of that name, `refuse` refuses it. */
function page() {
	const open = [];
	const written = [];
	const drawn = [];
	const model = new Model(
		(what, fields) => new Promise((resolve, reject) => open.push({ what, fields, resolve, reject })),
		(text) => written.push(text),
		() => written.splice(0),
		(draw) => drawn.push(draw),
	);
	const taken = (what) => {
		const at = open.findIndex((each) => each.what === what);
		assert.ok(at >= 0, `${what} was not asked: ${open.map((each) => each.what)}`);
		return open.splice(at, 1)[0];
	};
	const settled = () => new Promise((resolve) => setImmediate(resolve));
	return {
		model, open, written, drawn, settled,
		answer: async (what, result) => {
			const { resolve, fields } = taken(what);
			resolve(result);
			await settled();
			return fields;
		},
		refuse: async (what, error) => {
			taken(what).reject(error);
			await settled();
		},
	};
}

const PLACE = { function: 'simple_read', module: 'simple', file: '/x/simple.c', line: 87, pc: '0xffffffffc0208140' };

function stopped(number, place = PLACE) {
	return { type: 'state', state: 'stopped', by: 'gdb 1', stop: { number, reason: 'breakpoint', thread: 1, place } };
}

async function shown(number, locals, { answer, model, settled }, place = PLACE) {
	model.receive(stopped(number, place));
	await settled();
	await answer('threads', []);
	await answer('stack', [{ level: 0, ...place }]);
	await answer('locals', locals);
	await answer('registers', [{ name: 'rip', value: `0x${number}` }]);
}

test('a stop is looked at once, and said', async () => {
	const { model, open, answer, settled } = page();
	model.connection(true);
	await shown(1, [{ name: 'size', type: 'size_t', value: '4', ref: null }], { answer, model, settled });
	assert.deepStrictEqual(await answer('source', { path: '/x/simple.c', text: 'int x;', lines_with_code: [] }), { file: '/x/simple.c' });
	assert.strictEqual(model.source.value.line, 87);
	assert.match(model.said.value, /^Stopped: breakpoint. simple_read, simple.c:87$/);
	assert.deepStrictEqual(open, []);
	model.receive(stopped(1));
	await settled();
	assert.deepStrictEqual(open, []);
});

test('an answer that comes after the target ran on is of no stop', async () => {
	const { model, answer, settled } = page();
	model.connection(true);
	model.receive(stopped(1));
	await settled();
	model.receive({ type: 'state', state: 'running', stop: null, by: 'gdb 1' });
	await answer('stack', [{ level: 0, ...PLACE }]);
	assert.deepStrictEqual(model.stack.value, []);
	assert.strictEqual(model.stopped.value, false);
});

test('what was unfolded is unfolded at the next line, and what changed is marked', async () => {
	const scene = page();
	const { model, answer } = scene;
	model.connection(true);
	const file = { name: 'file', type: 'struct file *', value: '0x1', ref: 7 };
	await shown(1, [file, { name: 'n', type: 'int', value: '1', ref: null }], scene);
	model.toggle(model.locals.value[0]);
	assert.deepStrictEqual(await answer('children', [{ name: 'f_pos', type: 'loff_t', value: '0', ref: null }]), { ref: 7 });
	assert.deepStrictEqual(rows(model.locals.value).map(({ name, depth }) => [name, depth]), [['file', 0], ['f_pos', 1], ['n', 0]]);
	await shown(2, [{ ...file, ref: 9 }, { name: 'n', type: 'int', value: '2', ref: null }], scene);
	assert.deepStrictEqual(await answer('children', [{ name: 'f_pos', type: 'loff_t', value: '5', ref: null }]), { ref: 9 });
	assert.deepStrictEqual(rows(model.locals.value).map(({ name, changed }) => [name, changed]), [['file', false], ['f_pos', true], ['n', true]]);
	assert.deepStrictEqual(model.registers.value.map(({ changed }) => changed), [true]);
});

test('another function begins folded, with nothing changed', async () => {
	const scene = page();
	const { model, answer, open } = scene;
	model.connection(true);
	await shown(1, [{ name: 'file', type: 'struct file *', value: '0x1', ref: 7 }], scene);
	model.toggle(model.locals.value[0]);
	await answer('children', []);
	await shown(2, [{ name: 'file', type: 'struct file *', value: '0x2', ref: 8 }], scene, { ...PLACE, function: 'simple_write' });
	assert.deepStrictEqual(model.locals.value.map(({ open, changed }) => [open, changed]), [[false, false]]);
	assert.ok(!open.some(({ what }) => what === 'children'));
});

test('a file is read once, and again after a module came or went', async () => {
	const scene = page();
	const { model, answer, open } = scene;
	model.connection(true);
	model.receive({ type: 'modules', modules: [{ name: 'simple', state: 'live', load: '1', sections: [] }] });
	await shown(1, [], scene);
	await answer('source', { path: '/x/simple.c', text: 'old', lines_with_code: [] });
	await shown(2, [], scene);
	assert.ok(!open.some(({ what }) => what === 'source'));
	model.receive({ type: 'modules', modules: [] });
	await answer('source', { missing: true, looked: [] }); // it is being written
	assert.strictEqual(model.source.value.text, 'old');
	assert.deepStrictEqual(model.loadable.value, ['simple']);
	model.receive({ type: 'modules', modules: [{ name: 'simple', state: 'coming', load: '2', sections: [] }] });
	assert.deepStrictEqual(model.loadable.value, []);
	await answer('source', { path: '/x/simple.c', text: 'built', lines_with_code: [5] });
	assert.deepStrictEqual([model.source.value.text, model.source.value.line, model.source.value.lines_with_code], ['built', 87, [5]]);
	await shown(3, [], scene);
	await answer('source', { path: '/x/simple.c', text: 'new', lines_with_code: [] });
	assert.strictEqual(model.source.value.text, 'new');
});

test('without a source its instructions are shown, and where it was looked for', async () => {
	const scene = page();
	const { model, answer } = scene;
	model.connection(true);
	await shown(1, [], scene);
	await answer('source', { missing: true, looked: ['/x/simple.c'], disassembly: [] });
	await answer('disassembly', [{ address: '0xffffffffc020813f', text: 'nop' }, { address: PLACE.pc, text: 'ret' }]);
	const { missing, looked, line, text } = model.source.value;
	assert.deepStrictEqual([missing, looked, line], [true, ['/x/simple.c'], 2]);
	assert.strictEqual(text, '0xffffffffc020813f  nop\n0xffffffffc0208140  ret');
});

test('a click sets a breakpoint, removes ours, and leaves those of others', async () => {
	const { model, answer } = page();
	const at = { file: '/x/simple.c', line: 87, function: 'simple_read', verified: true };
	model.toggleBreakpoint('/x/simple.c', 87);
	assert.deepStrictEqual(await answer('break_at', {}), { file: '/x/simple.c', line: 87 });
	model.receive({ type: 'breakpoints', breakpoints: [{ ...at, id: 4, owner: 'this page' }] });
	model.toggleBreakpoint('/x/simple.c', 87);
	assert.deepStrictEqual(await answer('remove', null), { breakpoint: 4 });
	model.receive({ type: 'breakpoints', breakpoints: [{ ...at, id: 4, owner: 'gdb 1' }] });
	model.toggleBreakpoint('/x/simple.c', 87);
	assert.deepStrictEqual(await answer('break_at', {}), { file: '/x/simple.c', line: 87 });
});

test('a breakpoint is typed as gdb takes it', async () => {
	const { model, answer } = page();
	model.addBreakpoint(' simple_read ', '');
	assert.deepStrictEqual(await answer('break_at', {}), { function: 'simple_read' });
	model.addBreakpoint('dir:x/simple.c:12', ' size > 3 ');
	assert.deepStrictEqual(await answer('break_at', {}), { file: 'dir:x/simple.c', line: 12, condition: 'size > 3' });
});

test('what is refused is said with what to do next', async () => {
	const { model, refuse } = page();
	const done = model.command('continue');
	await refuse('continue', { message: 'gdb 1 has the lease.', next: 'Detach it.' });
	assert.strictEqual(await done, false);
	assert.deepStrictEqual(model.trouble.value, { message: 'gdb 1 has the lease.', next: 'Detach it.' });
});

test('a recorded stop is shown apart from the one that stands, and left again', async () => {
	const scene = page();
	const { model, answer, settled } = scene;
	model.connection(true);
	await shown(5, [], scene);
	await answer('source', { path: '/x/simple.c', text: 'int x;', lines_with_code: [] });
	model.showRecorded(2);
	const recorded = { number: 2, reason: 'step', thread: 1, place: { ...PLACE, line: 90 }, stack: [{ level: 0, ...PLACE, line: 90 }] };
	assert.deepStrictEqual(
		await answer('recorded', { ...recorded, locals: { 0: [{ name: 'n', type: 'int', value: '3', ref: null, children: [] }] } }), { stop: 2 },
	);
	assert.deepStrictEqual([model.source.value.line, model.locals.value[0].value], [90, '3']);
	model.receive(stopped(6));
	await settled();
	assert.strictEqual(model.source.value.line, 90);
	model.showNow();
	await settled();
	await answer('stack', [{ level: 0, ...PLACE, line: 95 }]);
	assert.deepStrictEqual([model.recorded.value, model.source.value.line], [null, 95]);
});

test('the timeline is drawn once for all that happened', () => {
	const { model, drawn } = page();
	for (const seq of [1, 2, 2, 3]) {
		model.receive({ type: 'timeline', entry: { seq, text: `${seq}` } });
	}
	assert.deepStrictEqual([model.timeline.value, drawn.length], [[], 1]);
	drawn.pop()();
	assert.deepStrictEqual(model.timeline.value.map(({ seq }) => seq), [1, 2, 3]);
	for (let seq = 4; seq < 1004; seq++) {
		model.receive({ type: 'timeline', entry: { seq, text: '' } });
	}
	assert.deepStrictEqual([drawn.length, model.timeline.value.length], [1, 1003]);
	model.receive({ type: 'hello', session: {}, history: [], console: '' });
	drawn.pop()();
	assert.deepStrictEqual(model.timeline.value, []);
});

test('another load of a module is another build of its file, though nothing was told in between', async () => {
	const scene = page();
	const { model, answer, open } = scene;
	model.connection(true);
	model.receive({ type: 'modules', modules: [{ name: 'simple', state: 'live', load: '1', sections: [] }] });
	await answer('files', []);
	await shown(1, [], scene);
	const asked = open.find(({ what }) => what === 'source');
	model.receive({ type: 'modules', modules: [{ name: 'simple', state: 'live', load: '2', sections: [] }] });
	asked.resolve({ path: '/x/simple.c', text: 'old', lines_with_code: [] }); // it was on its way
	await scene.settled();
	open.splice(open.indexOf(asked), 1);
	await answer('files', []);
	await shown(2, [], scene);
	await answer('source', { path: '/x/simple.c', text: 'new', lines_with_code: [] });
	assert.strictEqual(model.source.value.text, 'new');
});

test('files are asked for when modules come and go, not when their sections do', async () => {
	const { model, answer, open } = page();
	const simple = { name: 'simple', state: 'coming', sections: [] };
	model.receive({ type: 'modules', modules: [simple], known: ['simple'] });
	await answer('files', []);
	model.receive({ type: 'modules', modules: [{ ...simple, state: 'live' }], known: ['simple'] });
	assert.deepStrictEqual(open, []);
	model.receive({ type: 'modules', modules: [], known: ['simple'] });
	assert.deepStrictEqual(open.map(({ what }) => what), ['files']);
});

test('what is recorded does not run the target, which stands elsewhere', async () => {
	const scene = page();
	const { model, answer, open } = scene;
	model.connection(true, '');
	await shown(5, [], scene);
	await answer('source', { path: '/x/simple.c', text: 'int x;', lines_with_code: [] });
	assert.strictEqual(model.mayRun.value, true);
	model.showRecorded(2);
	await answer('recorded', { number: 2, reason: 'step', thread: 1, place: PLACE, stack: [], locals: {} });
	for (const what of ['continue', 'next', 'step', 'finish']) {
		assert.strictEqual(await model.command(what), false);
	}
	assert.deepStrictEqual([model.mayRun.value, open], [false, []]);
	assert.match(model.trouble.value.next, /Esc/);
	model.showNow();
	assert.strictEqual(model.trouble.value, null);
});

test('a second hello forgets everything', async () => {
	const { model, written } = page();
	const hello = { type: 'hello', session: { name: 'a' }, history: [{ seq: 1, time: 0, kind: 'load', text: '' }], console: 'one' };
	model.receive(hello);
	model.receive({ type: 'console', text: 'two' });
	model.receive({ type: 'breakpoints', breakpoints: [{ id: 1, owner: 'gdb 1' }] });
	model.receive({ ...hello, history: [], console: 'three' });
	assert.deepStrictEqual(written, ['three']);
	assert.deepStrictEqual([model.timeline.value, model.breakpoints.value], [[], []]);
});

test('paths are one file when they are equal, or when one has no directory', () => {
	assert.ok(sameFile('/x/a.c', '/x/a.c'));
	assert.ok(sameFile('a.c', '/x/a.c'));
	assert.ok(!sameFile('/x/a.c', '/y/a.c'));
	assert.ok(!sameFile(null, '/y/a.c'));
	assert.ok(!sameFile('', '/y/'));
});
