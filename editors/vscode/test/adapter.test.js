// SPDX-License-Identifier: Apache-2.0
// The adapter as VS Code's own test client sees it, on a session that runs. The environment says what: NULLMODEM_COMMAND
// (a JSON list), NULLMODEM_SESSION, NULLMODEM_SOURCE and NULLMODEM_LINE, a line of the module's init.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { test } = require('node:test');
const { DebugClient } = require('@vscode/debugadapter-testsupport');

const { NULLMODEM_COMMAND, NULLMODEM_SESSION, NULLMODEM_SOURCE, NULLMODEM_LINE } = process.env;
const skip = NULLMODEM_SESSION ? false : 'no session was named';

test('a breakpoint is pending, verified when its module comes, and hit', { skip }, async () => {
	const [program, ...words] = JSON.parse(NULLMODEM_COMMAND);
	const client = new DebugClient('', '', 'nullmodem');
	client.defaultTimeout = 60_000;
	const spawned = spawn(program, [...words, 'dap'], { stdio: ['pipe', 'pipe', 'inherit'] });
	client.connect(spawned.stdout, spawned.stdin);
	try {
		const { body } = await client.initializeRequest();
		assert.ok(body.supportsRestartRequest);
		await Promise.all([client.waitForEvent('initialized'), client.attachRequest({ session: NULLMODEM_SESSION })]);
		const set = await client.setBreakpointsRequest({
			source: { path: NULLMODEM_SOURCE },
			breakpoints: [{ line: Number(NULLMODEM_LINE) }],
		});
		assert.strictEqual(set.body.breakpoints[0].verified, false);
		await Promise.all([client.waitForEvent('stopped'), client.configurationDoneRequest()]);
		// Another editor is on the session, and may hold the target.
		await client.evaluateRequest({ expression: 'monitor take', context: 'repl' });
		const verified = client.waitForEvent('breakpoint');
		const hit = client.assertStoppedLocation('breakpoint', { path: NULLMODEM_SOURCE, line: Number(NULLMODEM_LINE) });
		await client.continueRequest({ threadId: 1 });
		const loading = client.evaluateRequest({ expression: 'nullmodem load simple', context: 'repl' });
		const event = await verified;
		assert.strictEqual(event.body.breakpoint.verified, true);
		const { body: stack } = await hit;
		assert.strictEqual(stack.stackFrames[0].name, 'simple_init');
		assert.match((await loading).body.result, /stopped at simple:simple_init/);
		await client.setBreakpointsRequest({ source: { path: NULLMODEM_SOURCE }, breakpoints: [] });
		await client.disconnectRequest();
		await new Promise((resolve) => spawned.once('exit', resolve));
		assert.strictEqual(spawned.exitCode, 0);
	} finally {
		spawned.kill();
	}
});
