// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { buildsModule, targetsIn, sessionsIn, completed } = require('../places');
const { contributes } = require('../package.json');

test('a module is told by obj-m', () => {
	assert.ok(buildsModule('# comment\nobj-m := simple.o\n'));
	assert.ok(buildsModule('ifneq ($(KERNELRELEASE),)\n  obj-m += a.o\nendif\n'));
	assert.ok(!buildsModule('all:\n\tmake -C .. modules # obj-m := x\n'));
	assert.ok(!buildsModule('obj-y += built-in.o\n'));
});

test('targets are the tables of nullmodem.toml', () => {
	const text = '[targets.lab-board]\nwire = "pty:/x"\n# [targets.old]\n[ targets . "my.board" ]\n[other.thing]\n';
	assert.deepStrictEqual(targetsIn(text), ['lab-board', 'my.board']);
});

test('sessions are those that are listed', () => {
	assert.deepStrictEqual(sessionsIn('[{"name": "simple"}, {"name": "two"}]'), ['simple', 'two']);
});

test('a configuration begins in its folder, and one that is empty is for the folder', () => {
	const own = { type: 'nullmodem', request: 'attach', name: 'x', target: 'lab-board' };
	assert.deepStrictEqual(completed(own, '/w/driver'), { ...own, cwd: '/w/driver' });
	assert.deepStrictEqual(completed({ ...own, cwd: '/else' }, '/w/driver'), { ...own, cwd: '/else' });
	assert.strictEqual(completed(own, undefined), own);
	assert.strictEqual(completed({}, '/w/driver').request, 'launch');
	assert.deepStrictEqual(completed({}, undefined), {});
});

test('every variable of the configurations has its command', () => {
	const [debuggers] = contributes.debuggers;
	const commands = contributes.commands.map((each) => each.command);
	assert.deepStrictEqual(Object.values(debuggers.variables).sort(), commands.sort());
	const used = JSON.stringify(debuggers.configurationSnippets).matchAll(/\$\{command:(\w+)\}/g);
	for (const [, name] of used) {
		assert.ok(debuggers.variables[name], name);
	}
});

test('every attribute of the snippets is one', () => {
	const [{ configurationSnippets, configurationAttributes }] = contributes.debuggers;
	for (const { body } of configurationSnippets) {
		const known = Object.keys(configurationAttributes[body.request].properties);
		for (const name of Object.keys(body)) {
			assert.ok(['type', 'request', 'name', ...known].includes(name), name);
		}
	}
});
