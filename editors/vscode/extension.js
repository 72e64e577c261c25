// SPDX-License-Identifier: Apache-2.0
// The debug type "nullmodem": every session of it is a `nullmodem dap`. What can be told without VS Code is in places.js.
'use strict';

const { execFile } = require('node:child_process');
const vscode = require('vscode');
const places = require('./places');

/** The program and the words before its own, as set by the user. */
function command() {
	const words = vscode.workspace.getConfiguration('nullmodem').get('command');
	return Array.isArray(words) && words.length > 0 ? words : ['nullmodem'];
}

async function pickModule() {
	const files = await vscode.workspace.findFiles('**/{Kbuild,Makefile}', '**/node_modules/**', 2000);
	const found = [];
	for (const file of files) {
		const text = Buffer.from(await vscode.workspace.fs.readFile(file)).toString('utf8');
		if (places.buildsModule(text)) {
			found.push(vscode.Uri.joinPath(file, '..').fsPath);
		}
	}
	return choose([...new Set(found)].sort(), 'No Kbuild or Makefile of a module is in the workspace (obj-m).');
}

async function pickTarget() {
	const files = await vscode.workspace.findFiles('**/nullmodem.toml', '**/node_modules/**', 20);
	const names = [];
	for (const file of files) {
		names.push(...places.targetsIn(Buffer.from(await vscode.workspace.fs.readFile(file)).toString('utf8')));
	}
	return choose([...new Set(names)].sort(), 'No nullmodem.toml in the workspace names a target.');
}

async function pickSession() {
	const [program, ...words] = command();
	const listing = await new Promise((resolve, reject) => {
		execFile(program, [...words, 'list', '--json'], (error, out, said) =>
			error ? reject(new Error(said.trim() || error.message)) : resolve(out));
	});
	return choose(places.sessionsIn(listing), 'No session is running; `nullmodem run` starts one.');
}

/** The only one there is, or the one the user picks; undefined ends the start of debugging, without an error. */
async function choose(names, none) {
	if (names.length === 0) {
		vscode.window.showErrorMessage(`nullmodem: ${none}`);
		return undefined;
	}
	return names.length === 1 ? names[0] : vscode.window.showQuickPick(names);
}

function activate(context) {
	context.subscriptions.push(
		vscode.commands.registerCommand('nullmodem.pickModule', pickModule),
		vscode.commands.registerCommand('nullmodem.pickTarget', pickTarget),
		vscode.commands.registerCommand('nullmodem.pickSession', pickSession),
		vscode.debug.registerDebugConfigurationProvider('nullmodem', {
			resolveDebugConfiguration: (folder, configuration) => places.completed(configuration, folder?.uri.fsPath),
		}),
		vscode.debug.registerDebugAdapterDescriptorFactory('nullmodem', {
			createDebugAdapterDescriptor: () => {
				const [program, ...words] = command();
				return new vscode.DebugAdapterExecutable(program, [...words, 'dap']);
			},
		}),
	);
}

module.exports = { activate };
