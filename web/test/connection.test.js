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
	const made = new Connection(open, (message) => received.push(message), (is) => there.push(is));
	const up = (socket) => {
		socket.readyState = 1;
		socket.onopen();
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

test('a lost connection is opened again, later each time, and questions end', async (context) => {
	context.mock.timers.enable({ apis: ['setTimeout'] });
	const { made, sockets, there, up } = connection();
	await assert.rejects(made.ask('threads'), (error) => error.message.includes('not connected'));
	up(sockets[0]);
	const asked = made.ask('threads');
	sockets[0].readyState = 3;
	sockets[0].onclose();
	await assert.rejects(asked, (error) => error.message.includes('was lost'));
	assert.deepStrictEqual(there, [true, false]);
	context.mock.timers.tick(499);
	assert.strictEqual(sockets.length, 1);
	context.mock.timers.tick(1);
	assert.strictEqual(sockets.length, 2);
	sockets[1].onclose();
	context.mock.timers.tick(999);
	assert.strictEqual(sockets.length, 2);
	context.mock.timers.tick(1);
	up(sockets[2]);
	assert.deepStrictEqual(there, [true, false, false, true]);
});

test('what is typed arrives in order, whatever the answers take', async () => {
	const sent = [];
	const type = inOrder((text) => new Promise((resolve) => sent.push({ text, resolve })));
	const done = type('a');
	type('b');
	type('c');
	assert.deepStrictEqual(sent.map(({ text }) => text), ['a']);
	sent[0].resolve();
	await new Promise((resolve) => setImmediate(resolve));
	assert.deepStrictEqual(sent.map(({ text }) => text), ['a', 'bc']);
	sent[1].resolve();
	await done;
	type('d');
	assert.deepStrictEqual(sent.map(({ text }) => text), ['a', 'bc', 'd']);
});
