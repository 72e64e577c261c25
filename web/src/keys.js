// SPDX-License-Identifier: Apache-2.0
// What each key does: those of debuggers that people's fingers know, and letters as in gdb.

/** [action, key of the keyboard, letter, what it does] */
export const KEYS = [
	['continue', 'F5', 'c', 'let the target run'],
	['next', 'F10', 'n', 'run to the next line, over calls'],
	['step', 'F11', 's', 'run to the next line, into calls'],
	['finish', 'Shift+F11', 'f', 'run until the function returns'],
	['pause', 'F6', 'p', 'stop the target'],
	['up', null, 'u', 'show the caller'],
	['down', null, 'd', 'show what it called'],
	['breakpoint', 'F9', 'b', 'a breakpoint on the line of the cursor, or none'],
	['now', 'Escape', null, 'from what was recorded back to now'],
	['help', null, '?', 'show these keys'],
];

/** What moves through the stack may be held down; what runs the target would run it past the next stop. */
export const HELD = new Set(['up', 'down']);

/** The action of a key that was pressed; `typing` says that a letter belongs to what has the focus. */
export function action(event, typing) {
	if (event.ctrlKey || event.altKey || event.metaKey) {
		return null;
	}
	const name = (event.shiftKey && event.key.length > 1 ? 'Shift+' : '') + event.key;
	const found = KEYS.find(([, key, letter]) => key === name || (!typing && letter === event.key));
	return found && !(typing && name === 'Escape') ? found[0] : null;
}
