// SPDX-License-Identifier: Apache-2.0

/**
 * A function that sends what is typed, in order: one request at a time, and what is typed meanwhile goes with the next.
 * `send(text)` returns a promise.
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
			const now = waiting;
			waiting = '';
			await send(now);
		}
		busy = false;
	};
}
