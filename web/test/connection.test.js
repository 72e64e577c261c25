// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert';
import { test } from 'node:test';
import { Connection } from '../src/connection.js';
import { inOrder } from '../src/typing.js';

function connection() {
	const sockets = [];
	const received = [];
	const there = [];
	const open = () => {
		const socket = { readyState: 0, sent: [], send: (text) => socket.sent.push(JSON.parse(text)) };
		sockets.push(socket);
		return socket;
	};
	const made = new Connection(open, (message) => received.push(message), (...is) => there.push(is));
	const up = (socket) => {
		socket.readyState = 1;
	};
	const told = (socket, message) => socket.onmessage({ data: JSON.stringify(message) });
	return { made, sockets, received, there, up, told };
}

test('each answer goes to its question, and news to the page', async () => {
	const { made, sockets: [socket], received, up, told } = connection();
	up(socket);
	const first = made.ask('stack', { thread: 1 });
	const second = made.ask('threads');
	assert.deepStrictEqual(socket.sent, [{ thread: 1, id: 1, do: 'stack' }, { id: 2, do: 'threads' }]);
	told(socket, { id: 2, result: ['b'] });
	told(socket, { type: 'console', text: 'x' });
	told(socket, { id: 9, result: 'of nobody' });
	told(socket, { id: 1, error: { message: 'no', next: 'yes' } });
	assert.deepStrictEqual(await second, ['b']);
	await assert.rejects(first, { message: 'no', next: 'yes' });
	assert.deepStrictEqual(received, [{ type: 'console', text: 'x' }]);
});

test('no more is asked at once than the session takes', async () => {
	const { made, sockets: [socket], up, told } = connection();
	up(socket);
	const asked = Array.from({ length: 100 }, (_, at) => made.ask('children', { ref: at }));
	assert.deepStrictEqual([socket.sent.length, socket.sent.at(-1).ref], [24, 23]);
	told(socket, { id: 3, result: 'c' });
	assert.deepStrictEqual([socket.sent.length, socket.sent.at(-1).ref], [25, 24]);
	for (let id = 1; id <= 100; id++) {
		told(socket, { id, result: id });
	}
	assert.deepStrictEqual(socket.sent.map(({ ref }) => ref), Array.from({ length: 100 }, (_, at) => at));
	assert.strictEqual((await Promise.all(asked)).length, 100);
});

test('a lost connection is opened again, later each time, and questions end', async (context) => {
	context.mock.timers.enable({ apis: ['setTimeout'] });
	const { made, sockets, there, up, told } = connection();
	await assert.rejects(made.ask('threads'), (error) => error.message.includes('not connected'));
	up(sockets[0]);
	told(sockets[0], { type: 'hello' });
	const asked = made.ask('threads');
	sockets[0].readyState = 3;
	sockets[0].onclose({ code: 1006 });
	await assert.rejects(asked, (error) => error.message.includes('was lost'));
	assert.deepStrictEqual(there, [[true, ''], [false, '']]);
	context.mock.timers.tick(499);
	assert.strictEqual(sockets.length, 1);
	context.mock.timers.tick(1);
	assert.strictEqual(sockets.length, 2);
	up(sockets[1]);
	sockets[1].onclose({ code: 1006 }); // it was let in, and sent away before a hello
	context.mock.timers.tick(999);
	assert.strictEqual(sockets.length, 2);
	context.mock.timers.tick(1);
	told(sockets[2], { type: 'hello' });
	assert.deepStrictEqual(there.slice(2), [[false, ''], [true, '']]);
});

test('what is refused or has ended is not tried again by itself, and says why', (context) => {
	context.mock.timers.enable({ apis: ['setTimeout'] });
	const { made, sockets, there } = connection();
	sockets[0].onclose({ code: 4429, reason: '8 pages are open already' });
	context.mock.timers.tick(3600_000);
	assert.strictEqual(sockets.length, 1);
	made.again();
	made.again(); // clicked twice: a second socket would tell everything twice
	assert.strictEqual(sockets.length, 2);
	sockets[1].onclose({ code: 4410, reason: '' });
	made.again();
	sockets[2].onclose({ code: 1012, reason: '' });
	assert.deepStrictEqual(there, [
		[false, '8 pages are open already'], [false, 'The session has ended.'], [false, 'The web view has ended.'],
	]);
	made.again();
	for (let at = 3; at < sockets.length; at++) {
		sockets[at].onclose({ code: 1006 });
		context.mock.timers.tick(8000);
	}
	assert.deepStrictEqual([sockets.length, there.at(-1)], [3 + 9, [false, 'Nobody answers.']]);
});

test('what is pasted is cut into what can be sent at once, and into no half of a character', async () => {
	const sent = [];
	const text = `${'x'.repeat(4095)}\u{1f600}${'y'.repeat(5000)}`;
	await inOrder(async (part) => sent.push(part))(text);
	assert.deepStrictEqual(sent.map(({ length }) => length), [4095, 4096, 906]);
	assert.strictEqual(sent.join(''), text);
	const refused = [];
	await inOrder(async (part) => (refused.push(part), false))(text);
	assert.strictEqual(refused.length, 1);
});

test('what is typed arrives in order, whatever the answers take', async () => {
	const sent = [];
	const type = inOrder((text) => new Promise((resolve) => sent.push({ text, resolve })));
	const done = type('a');
	type('b');
	type('c');
	assert.deepStrictEqual(sent.map(({ text }) => text), ['a']);
	sent[0].resolve(true);
	await new Promise((resolve) => setImmediate(resolve));
	assert.deepStrictEqual(sent.map(({ text }) => text), ['a', 'bc']);
	sent[1].resolve(true);
	await done;
	type('d');
	assert.deepStrictEqual(sent.map(({ text }) => text), ['a', 'bc', 'd']);
});
