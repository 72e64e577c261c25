// SPDX-License-Identifier: Apache-2.0
// What files and programs say of modules, targets and sessions.
'use strict';

/** Whether a Kbuild or Makefile builds a module. */
function buildsModule(text) {
	return /^\s*obj-m\s*[:+]?=/m.test(text);
}

/** The names of the targets that a nullmodem.toml describes. */
function targetsIn(text) {
	return [...text.matchAll(/^\s*\[\s*targets\s*\.\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*\]/gm)].map(
		([, double, single, bare]) => double ?? single ?? bare);
}

/** The names in what `nullmodem list --json` prints. */
function sessionsIn(text) {
	return JSON.parse(text).map((session) => session.name);
}

/**
 * A configuration with what it needs; one for the open folder, when debugging was started without any. Relative paths,
 * and the search for a nullmodem.toml, begin in the folder, wherever VS Code was started.
 */
function completed(configuration, folder) {
	if (folder === undefined) {
		return configuration;
	}
	const empty = !(configuration.type || configuration.request || configuration.name);
	const given = empty
		? { type: 'nullmodem', request: 'launch', name: 'Module in a new machine', module: '${workspaceFolder}' }
		: configuration;
	return { cwd: folder, ...given };
}

module.exports = { buildsModule, targetsIn, sessionsIn, completed };
