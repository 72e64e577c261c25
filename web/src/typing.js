// SPDX-License-Identifier: Apache-2.0

/** As many characters as the session takes at once. */
const MOST = 4096;

/**
 * A function that sends what is typed or pasted, in order: one request at a time, and what is typed meanwhile goes with
 * the next. `send(text)` returns a promise of whether it went well; what waits behind something that did not is given up.
 */
export function inOrder(send) {
	let waiting = '';
	let busy = false;
	return async function type(text) {
		waiting += text;
		if (busy) {
			return;
		}
		busy = true;
		while (waiting) {
			const now = whole(waiting.slice(0, MOST));
			waiting = waiting.slice(now.length);
			if (!(await send(now))) {
				waiting = '';
			}
		}
		busy = false;
	};
}

/** Without the first half of a character whose second was cut off. */
function whole(text) {
	return text.length > 1 && /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}
